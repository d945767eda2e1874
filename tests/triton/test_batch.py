"""Tables, divisions and launches of batches; and whole steps, which another process interprets."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise
from math import prod
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import muondsl
from muondsl.runtime.addresses import AddressTables, StepMember
from muondsl.runtime.batch import Batch
from muondsl.runtime.declarations import State
from muondsl.runtime.folding import fold
from muondsl.runtime.programs import Axis, divide_range, divide_tiles, length_along, program_table
from muondsl.runtime.step_plan import launches_of
from muondsl.runtime.workspace import FORMS, Arena, extents

ROOT = Path(__file__).parents[2]
CPU = torch.device("cpu")
AXES: tuple[Axis, ...] = ("rows", "cols", "short", "long")
NAMES = ("parameter", "gradient", "state")

# Matrices and other parameters of GPT-2 small with their numbers.
GPT2_MATRICES = [(768, 768)] * 24 + [(768, 3072)] * 24 + [(3072, 768)] * 12 + [(2304, 768)] * 12
GPT2_OTHERS = [(768,)] * 74 + [(50257, 768), (1024, 768)]


@pytest.mark.timeout(1800)
def test_whole_steps_agree_in_the_interpreter() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/triton/interpreted_batch.py"]
    environment = {**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


sizes = st.integers(1, 5000)


@given(sizes, sizes, st.sampled_from(AXES), st.booleans(), st.booleans())
def test_programs_cover_every_tile_once(rows: int, cols: int, walk: Axis, has_whole: bool, has_along: bool) -> None:
    division = divide_tiles(rows, cols, walk, has_whole=has_whole, has_along=has_along)
    assert division.programs <= 4096
    assert division.segments <= 8 or not has_along
    walked = length_along(rows, cols, walk)
    other = rows * cols // walked
    tiles = set()
    for matrix, strip, begin, end, segment, part in program_table([7], [division]).tolist():
        assert matrix == 7
        assert part == strip * division.segments + segment
        assert begin < end
        tiles |= {(strip, block) for block in range(begin, end)}
    assert tiles == {(strip, block) for strip in range(-(-other // 64)) for block in range(-(-walked // 64))}


def test_programs_of_a_matrix_do_not_depend_on_the_others() -> None:
    shapes = [(1000, 130), (64, 64), (3, 9000)]
    divisions = [divide_tiles(*shape, "cols", has_whole=True, has_along=False) for shape in shapes]
    whole = program_table([0, 1, 2], divisions)
    for matrix, division in enumerate(divisions):
        assert torch.equal(whole[whole[:, 0] == matrix], program_table([matrix], [division]))


def test_more_elements_than_32_bits_count_are_divided() -> None:
    division = divide_range(3 * 2**31, 1024, has_whole=False)
    table = program_table([0], [division])
    assert table[0].tolist() == [0, 0, 0, 1536, 0, 0]
    assert table[-1, 3].item() == 3 * 2**21


@given(st.lists(st.integers(1, 4), max_size=4), st.data())
def test_a_fold_finds_every_element(shape: list[int], data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(shape))))
    back = [order.index(dim) for dim in range(len(shape))]
    tensors = [
        torch.arange(prod(shape)).view(shape),
        torch.arange(prod(shape)).view([shape[dim] for dim in order]).permute(back),
        torch.arange(2 * prod(shape)).view([*shape, 2])[..., 0],
    ]
    for chosen in (tensors[:1], tensors[1:2], tensors):
        found = fold(chosen)
        if found is None:
            assert len(chosen) > 1
            continue
        assert found.rows * found.cols == prod(shape)
        for tensor, strides in zip(chosen, found.strides, strict=True):
            seen = tensor.as_strided((found.rows, found.cols), strides).flatten()
            elements = tensor.flatten()
            assert torch.equal(seen.sort().values, elements.sort().values)
            assert found.is_dense or torch.equal(seen, elements)


def test_tensors_that_lie_in_no_two_dimensions_have_no_fold() -> None:
    crooked = torch.arange(60).view(3, 5, 4).permute(0, 2, 1)[:, :, :3]
    assert fold([torch.zeros(3, 4, 3), crooked]) is None


def member(shape: tuple[int, ...], gradient: torch.Tensor | None = None) -> StepMember:
    parameter = torch.zeros(shape)
    given = torch.zeros(shape) if gradient is None else gradient
    return StepMember(NAMES, parameter, given, {"state": torch.zeros(shape)}, 0)


def test_tables_follow_gradients_and_copy_only_when_one_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    members = [member((16, 32)), member((5, 7))]
    tables = AddressTables(members, [State("state")], is_matrix=True, device=CPU)
    assert tables["gradient"][1].tolist() == [members[1].gradient.data_ptr(), 7, 1]
    before = tables["gradient"]
    moved = [members[0], StepMember(NAMES, members[1].parameter, torch.ones(5, 7), members[1].state, 0)]
    tables.refresh(moved)
    assert before[1].tolist() == [moved[1].gradient.data_ptr(), 7, 1]
    monkeypatch.setattr(torch.Tensor, "copy_", None)
    tables.refresh(moved)


def test_alignment_needs_sizes_strides_and_addresses() -> None:
    shifted = torch.zeros(16 * 32 + 1)[1:].view(16, 32)
    wide = torch.zeros(16, 64)[:, :32]
    members = [
        member((16, 32)),
        member((16, 30)),
        member((16, 32), shifted),
        member((16, 32), wide),
        member((16, 32), torch.zeros(32, 16).mT),
    ]
    tables = AddressTables(members, [State("state")], is_matrix=True, device=CPU)
    assert tables.aligned(["parameter", "gradient"]) == [True, False, False, False, False]
    assert tables.aligned(["parameter", "state", "a workspace"]) == [True, False, True, True, True]


@pytest.mark.parametrize("form", FORMS)
def test_pieces_of_a_workspace_are_aligned_and_apart(form: str) -> None:
    arena = Arena(1 << 16, CPU)
    pieces = []
    for shape in ((17, 33), (3, 2), (1, 1)):
        numel, leading = extents(form, *shape)
        assert leading % 16 == 0 or form not in ("rows, cols", "short, long", "short, short")
        pieces.append((arena.take(4 * numel), 4 * numel))
    assert all(address % 256 == 0 for address, _ in pieces)
    assert all(one + size <= other for (one, size), (other, _) in pairwise(pieces))
    assert arena.memory is not None
    assert pieces[-1][0] + pieces[-1][1] <= arena.memory.data_ptr() + arena.memory.numel()


@pytest.mark.parametrize(("name", "most"), [("moonlight", 35), ("nanochat", 37)])
def test_gpt2_small_takes_few_launches(name: str, most: int) -> None:
    kind = muondsl.load(ROOT / "specs" / f"{name}.muon")
    matrices = launches_of(kind, "matrix", GPT2_MATRICES)
    others = launches_of(kind, "otherwise", GPT2_OTHERS)
    assert len(matrices) + len(others) <= most
    assert all(launch.constants.get("IS_ALIGNED", True) for launch in matrices + others)


def test_two_tensors_of_one_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = muondsl.load(ROOT / "specs" / "moonlight.muon")

    def launch(batch: Batch) -> None:
        batch.workspace("update", "short, long")
        batch.workspace("update", "rows, cols")

    monkeypatch.setattr(kind, "launches", {"matrix": launch})
    with pytest.raises(ValueError, match="two tensors of a step have the same name: update"):
        launches_of(kind, "matrix", [(4, 4)])


def test_products_that_do_not_fit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = muondsl.load(ROOT / "specs" / "moonlight.muon")

    def launch(batch: Batch) -> None:
        batch.workspace("update", "short, long")
        batch.workspace("gram", "short, short")
        batch.product("update", "update", "gram", transposed=(False, True), is_symmetric=True)
        batch.workspace("square", "short, short")
        batch.product("gram", "update", "square")

    monkeypatch.setattr(kind, "launches", {"matrix": launch})
    assert len(launches_of(kind, "matrix", [(4, 4)])) == 2
    with pytest.raises(ValueError, match="square ← gram update is no product of a matrix of 4 × 9"):
        launches_of(kind, "matrix", [(4, 9)])
