"""Matrix products: what the kernel computes in Triton's interpreter, and what a launch of it executes and moves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from muondsl.runtime.choose_tile import prefers_symmetric, product_tile
from muondsl.runtime.products import Operand, Problem, Traffic, executed_flops, product_launch, product_traffic
from muondsl.runtime.tiles import ARCHITECTURES, Tile, known_architecture, symmetric_fraction, tile_programs
from tests.triton.interpreted import interpreted

CPU = torch.device("cpu")
A, B, C, D = (Operand(1 << shift, 1024) for shift in (32, 33, 34, 35))
# Relative to the norm. The interpreter truncates where the machine rounds.
TOLERANCES = {torch.float32: 2e-7, torch.float16: 5e-4, torch.bfloat16: 6e-3}
NAMES = [
    "plain",
    "plain, descriptors",
    "plain, unaligned",
    "plain, oblong tile",
    "plain, in place",
    "plain, left transposed",
    "plain, right transposed",
    "plain, both transposed",
    "plain, both transposed, descriptors",
    "plain, both transposed, unaligned",
    "symmetric",
    "symmetric, split",
    "symmetric, descriptors",
    "symmetric, split, descriptors",
    "symmetric, split, unaligned",
    "symmetric, split, in place",
    "plain, fp16",
    "plain, bf16",
    "symmetric, split, fp16",
    "symmetric, split, bf16",
    "symmetric, of two matrices",
    "symmetric, split, of two matrices",
    "divided once",
    "divided by infinity",
    "all divided by infinity",
    "alpha and beta 0",
]


def found(name: str) -> dict[str, Any]:
    return interpreted("tests.triton.interpret_products")[name]


def test_every_case_is_looked_at() -> None:
    assert list(interpreted("tests.triton.interpret_products")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_product_is_what_torch_computes_in_float64(name: str) -> None:
    for out, expected in zip(found(name)["out"], found(name)["expected"], strict=True):
        error = torch.linalg.norm(out.to(torch.float64) - expected)
        assert error <= TOLERANCES[out.dtype] * torch.linalg.norm(expected), (name, tuple(out.shape))


@pytest.mark.parametrize("name", NAMES)
def test_every_element_is_stored_once_and_nothing_else(name: str) -> None:
    assert found(name)["stores"] == [{1}] * len(found(name)["out"])
    assert not any(found(name)["touched outside"])


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_read_but_rows_of_operands(name: str) -> None:
    assert found(name)["loaded outside"] == 0


@pytest.mark.parametrize("name", [name for name in NAMES if "symmetric" in name])
def test_symmetric_product_is_symmetric_to_the_bit(name: str) -> None:
    assert all(torch.equal(out, out.mT) for out in found(name)["out"])


@pytest.mark.parametrize("name", ["plain", "plain, descriptors", "symmetric, split", "symmetric, split, descriptors"])
def test_product_does_not_depend_on_what_shares_its_launch(name: str) -> None:
    for together, alone in zip(found(name)["out"], found(name)["alone"], strict=True):
        assert torch.equal(together, alone)


# Launches.


def launched(*problems: Problem, **options: Any) -> Any:
    settings = {"dtype": torch.bfloat16, "tile": Tile(128, 128, 64, 8, 3, splits_diagonal=True), "device": CPU}
    return product_launch(problems, **{**settings, **options})


def test_longest_programs_come_first_and_problems_stay_together() -> None:
    short, long = Problem(A, B, C, 256, 256, 64), Problem(A, B, D, 128, 256, 512)
    programs = launched(short, long).arguments[2].tolist()
    assert programs == [[1, 0, 0, 0], [1, 0, 128, 0], [0, 0, 0, 0], [0, 128, 0, 0], [0, 0, 128, 0], [0, 128, 128, 0]]


def test_tables_hold_what_the_kernel_reads() -> None:
    problem = Problem(A, B, C, 3, 5, 7, addend=D, alpha=1.5, beta=2.5, gamma=3.5, divisor=4096, divisions=(2, 1))
    launch = launched(problem)
    addresses = [operand.address for operand in (A, B, D, C)]
    assert launch.arguments[0].tolist() == [[*addresses, 1024, 1024, 1024, 1024, 3, 5, 7, 4096, 2, 1]]
    assert launch.arguments[1].tolist() == [[1.5, 2.5, 3.5]]
    assert (launch.grid, launch.matrices) == (1, 1)


def test_unaligned_operands_are_not_described_to_the_memory_accelerator() -> None:
    tile = product_tile("sm_90", "bfloat16", is_symmetric=False, side=768)
    launch = launched(Problem(Operand(2, 33), B, C, 8, 8, 8), tile=tile, is_aligned=False)
    assert tile.uses_descriptors
    assert not launch.constants["USES_DESCRIPTORS"]
    assert not launch.options


@pytest.mark.parametrize(
    ("problem", "options", "message"),
    [
        (Problem(A, B, C, 0, 4, 4), {}, "empty"),
        (Problem(A, A, C, 4, 5, 4), {"is_symmetric": True}, "not symmetric"),
        (Problem(A, B, A, 4, 4, 4), {}, "overwrite"),
        (Problem(A, B, B, 4, 4, 4), {}, "overwrite"),
        (Problem(A, Operand(1 << 33, 24), C, 4, 4, 4), {}, "multiple of 16"),
        (Problem(A, B, Operand(8, 16), 4, 4, 4), {}, "multiple of 16"),
    ],
)
def test_problem_that_the_kernel_would_get_wrong_is_refused(
    problem: Problem, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        launched(problem, **options)


# What a launch executes and moves.


@pytest.mark.parametrize("is_symmetric", [False, True])
@pytest.mark.parametrize("side", [1, 64, 65, 128, 129, 200, 300, 768])
@pytest.mark.parametrize("splits_diagonal", [False, True])
def test_tiles_cover_every_element_once(side: int, is_symmetric: bool, splits_diagonal: bool) -> None:
    tile = Tile(128, 128, 64, 8, 3, splits_diagonal=splits_diagonal)
    covered = torch.zeros(side, side, dtype=torch.int32)
    for program in tile_programs(side, side, tile, is_symmetric):
        block = 64 if program.is_half else 128
        covered[program.row : program.row + block, program.col : program.col + block] += 1
        if is_symmetric and program.row != program.col:
            covered[program.col : program.col + block, program.row : program.row + block] += 1
    assert bool((covered == 1).all())


def test_rows_of_tiles_are_taken_eight_at_a_time() -> None:
    programs = tile_programs(1152, 256, Tile(128, 128, 64, 8, 3), False)
    assert [program.row // 128 for program in programs] == [*range(8), *range(8), 8, 8]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_direct_form_of_gpt2_small_executes_at_most_76_percent_of_dense(architecture: str) -> None:
    executed = dense = 0
    for short, long in [(768, 2304), (768, 768), (768, 3072), (768, 3072)]:
        symmetric = product_tile(architecture, "bfloat16", is_symmetric=True, side=short)
        plain = product_tile(architecture, "bfloat16", is_symmetric=False, side=short)
        squares = [Problem(A, A, C, short, short, k) for k in (long, short)]
        executed += executed_flops(squares, symmetric, is_symmetric=True)
        executed += executed_flops([Problem(A, B, C, short, long, short)], plain)
        dense += 4 * short**2 * long + 2 * short**3
    assert executed / dense == pytest.approx(0.738, abs=0.001)


def test_padding_is_executed_and_counted() -> None:
    tile = Tile(128, 128, 64, 8, 3, splits_diagonal=True)
    assert executed_flops([Problem(A, B, C, 1, 1, 1)], tile) == 2 * 128 * 128 * 64
    assert executed_flops([Problem(A, A, C, 1, 1, 1)], tile, is_symmetric=True) == 2 * 64 * 64 * 64


def test_traffic_counts_elements_that_exist() -> None:
    tile = Tile(128, 128, 64, 8, 3, splits_diagonal=True)
    plain = product_traffic([Problem(A, B, C, 130, 100, 50, addend=D)], tile, itemsize=2)
    assert plain == Traffic(
        loaded=2 * ((130 + 2 * 100) * 50 + 130 * 100),
        stored=2 * 130 * 100,
        operands=2 * (130 * 50 + 100 * 50 + 130 * 100),
    )
    symmetric = product_traffic([Problem(A, A, C, 128, 128, 50)], tile, itemsize=2, is_symmetric=True)
    assert symmetric == Traffic(loaded=2 * 3 * 128 * 50, stored=2 * 128 * 128, operands=2 * 128 * 50)


def test_half_tiles_compute_of_a_diagonal_tile_three_quarters() -> None:
    tile = product_tile("sm_90", "bfloat16", is_symmetric=True, side=768)
    assert symmetric_fraction(768, tile) == pytest.approx((15 + 6 * 0.75) / 36)
    assert symmetric_fraction(768, replace(tile, splits_diagonal=False)) == pytest.approx(7 / 12)


def test_one_tile_is_not_worth_mirroring() -> None:
    assert not prefers_symmetric(64, 64, "sm_90", "bfloat16")
    assert prefers_symmetric(768, 768, "sm_90", "bfloat16")
    assert prefers_symmetric(4096, 4096, "gfx942", "float16")


KNOWN = {
    "sm_80": "sm_80",
    "sm_86": "sm_80",
    "sm_89": "sm_80",
    "sm_90a": "sm_90",
    "sm_100": "sm_100",
    "sm_103a": "sm_100",
    "sm_120": "sm_80",
    "gfx942": "gfx942",
    "gfx950": "gfx942",
}


@pytest.mark.parametrize(("name", "known"), KNOWN.items())
def test_architecture_runs_tiles_of_one_that_is_known(name: str, known: str) -> None:
    assert known_architecture(name) == known
