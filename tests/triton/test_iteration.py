"""Forms of iterations as products, their places in memory, and the launches that many matrices share."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise, permutations
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from muondsl.runtime.forms import SOURCE, Coefficients, Operation, steps_to_products
from muondsl.runtime.iteration import (
    Gram,
    Iteration,
    Member,
    dense_flops,
    iteration_flops,
    iteration_launches,
)
from muondsl.runtime.layout import BASE_BYTES, Layout, layout
from muondsl.runtime.tiles import ARCHITECTURES
from muondsl.runtime.waves import common_supersequence, places, waves
from tests.triton.iterates import KELLER_JORDAN, POLAR_EXPRESS, carry_out, matrix_of, quintic, result_of

ROOT = Path(__file__).resolve().parents[2]
CPU = torch.device("cpu")
CUBIC = ((1.5, -0.5, 0.0), (1.875, -1.25, 0.375), (1.5, -0.5, 0.0))

RESTARTS = {
    "direct": range(9),
    "no restart": (),
    "after 2": (2,),
    "after 3": (3,),
    "after 2 and 4": (2, 4),
    "after 1": (1,),
}
COEFFICIENTS = {
    "keller_jordan": KELLER_JORDAN,
    "polar_express": POLAR_EXPRESS,
    "cubic and quintic": CUBIC,
    "one step": KELLER_JORDAN[:1],
    "two steps": POLAR_EXPRESS[:2],
    "eight steps": (*POLAR_EXPRESS, *KELLER_JORDAN[:3]),
}

# One matrix of each kind in a block of GPT-2 small, and how many there are: c_attn, c_proj, c_fc, c_proj of the MLP.
GPT2_SMALL = [(768, 2304), (768, 768), (768, 3072), (768, 3072)] * 12
BF16_GRAM = Gram(ratio=2.0, restarts=(2, 4), shortest=512)
FP16_GRAM = Gram(ratio=1.5, restarts=(3,), shortest=512)
DIRECT = Iteration(KELLER_JORDAN, torch.bfloat16)
FAST = Iteration(KELLER_JORDAN, torch.bfloat16, gram=BF16_GRAM)
FAST_FP16 = Iteration(KELLER_JORDAN, torch.float16, gram=FP16_GRAM)


def members_of(shapes: list[tuple[int, int]]) -> list[Member]:
    """Members at made-up addresses, for launches that are not run."""
    return [Member(*shape, source=1 << 32, scratch=1 << 33, divisor=1 << 34) for shape in shapes]


# Forms.


@pytest.mark.parametrize("folds_diagonal", [True, False])
@pytest.mark.parametrize("restarts", RESTARTS.values(), ids=RESTARTS)
@pytest.mark.parametrize("coefficients", COEFFICIENTS.values(), ids=COEFFICIENTS)
def test_every_form_is_the_iteration(
    coefficients: tuple[Coefficients, ...], restarts: tuple[int, ...], folds_diagonal: bool
) -> None:
    x = matrix_of("gauss", 24, 60)
    divisor = torch.linalg.norm(x).item()
    operations = steps_to_products(coefficients, restarts, folds_diagonal=folds_diagonal)
    exact = quintic(x / divisor, coefficients)
    error = torch.linalg.norm(carry_out(operations, x, divisor) - exact) / torch.linalg.norm(exact)
    assert error < 1e-12


@pytest.mark.parametrize("restarts", RESTARTS.values(), ids=RESTARTS)
def test_every_square_is_symmetric(restarts: tuple[int, ...]) -> None:
    matrices = {SOURCE: matrix_of("gauss", 24, 60) / 40}
    for operation in steps_to_products(POLAR_EXPRESS, restarts):
        out = matrices[operation.out] = result_of(operation, matrices, 1.0)
        if not operation.is_panel:
            assert torch.linalg.norm(out - out.mT) < 1e-12 * torch.linalg.norm(out), str(operation)


def test_two_steps_of_gram_space_are_seven_products() -> None:
    assert [str(operation) for operation in steps_to_products(POLAR_EXPRESS[:2], ())] == [
        "s1 ← x0 x0ᵀ / d²",
        "p1 ← -22.48 s1 + 15.88 s1 s1",
        "w1 ← 8.157 s1 + p1 s1",
        "s2 ← 8.157 w1 + p1 w1",
        "z1 ← 4.043 I + -2.809 s2 + 0.5 s2 s2",
        "q1 ← 8.157 z1 + z1 p1",
        "x1 ← q1 x0 / d",
    ]


def test_direct_step_adds_a_to_the_diagonal_or_to_the_product() -> None:
    folded, written = (steps_to_products(KELLER_JORDAN[:1], (), folds_diagonal=folds) for folds in (True, False))
    assert [str(operation) for operation in folded[1:]] == ["z1 ← 3.445 I + -4.775 s1 + 2.031 s1 s1", "x1 ← z1 x0 / d"]
    assert [str(operation) for operation in written[1:]] == [
        "p1 ← -4.775 s1 + 2.031 s1 s1",
        "x1 ← (3.445 x0 + p1 x0) / d",
    ]


def test_cubic_step_has_no_product_of_squares() -> None:
    kinds = [operation.kind for operation in steps_to_products(((1.5, -0.5, 0.0),) * 3, (1, 2))]
    assert kinds == ["outer", "apply"] * 3


def test_number_of_products_of_each_form() -> None:
    assert len(steps_to_products(KELLER_JORDAN, (1, 2, 3, 4))) == 15
    assert len(steps_to_products(KELLER_JORDAN, (2, 4))) == 17
    assert len(steps_to_products(KELLER_JORDAN, (3,))) == 18
    assert len(steps_to_products(KELLER_JORDAN, (2,))) == 18


def test_iteration_without_steps_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Iteration((), torch.bfloat16)


def test_form_is_decided_by_the_shape() -> None:
    assert FAST.form(768, 3072) == FAST.form(3072, 768) == "gram"
    assert FAST.form(768, 1536) == "gram"
    assert FAST.form(768, 1535) == "direct"
    assert FAST.form(500, 5000) == "direct"
    assert FAST.form(128, 5000) == FAST.form(5000, 1) == "small"
    assert DIRECT.form(768, 3072) == "direct"


def test_diagonal_is_folded_unless_the_iteration_says_otherwise() -> None:
    faithful = Iteration(KELLER_JORDAN, torch.bfloat16, folds_diagonal=False)
    assert all(operation.addend is None for operation in DIRECT.operations(768, 768) if operation.is_panel)
    assert all(operation.addend == operation.right for operation in faithful.operations(768, 768) if operation.is_panel)


# Places in memory.


def carry_out_in_place(operations: tuple[Operation, ...], placed: Layout, x: Tensor, divisor: float) -> Tensor:
    """The result when matrices really lie where the layout puts them, in memory that is full of nan at first."""
    short, long = x.shape
    memory = torch.full((placed.bytes // x.itemsize,), float("nan"), dtype=x.dtype)

    def view(name: str, cols: int) -> Tensor:
        place = placed.places[name]
        return memory.as_strided((short, cols), (place.leading, 1), place.offset // x.itemsize)

    view(SOURCE, long).copy_(x)
    for operation in operations:
        matrices = {
            name: view(name, long if name == SOURCE or name.startswith("x") else short) for name in operation.inputs
        }
        out = view(operation.out, long if operation.is_panel else short)
        result = result_of(operation, matrices, divisor)
        # As tiles that are stored while others are still read: what is read must not be where `out` is.
        out.fill_(float("nan"))
        assert not any(matrix.isnan().any() for matrix in matrices.values()), str(operation)
        out.copy_(result)
    return view(placed.result, long)


@given(
    short=st.integers(1, 40),
    extra=st.integers(0, 100),
    n_steps=st.integers(1, 8),
    restarts=st.sets(st.integers(1, 7)),
    folds_diagonal=st.booleans(),
)
def test_no_matrix_is_written_over_while_it_is_needed(
    short: int, extra: int, n_steps: int, restarts: set[int], folds_diagonal: bool
) -> None:
    x = matrix_of("gauss", short, short + extra)
    coefficients = (KELLER_JORDAN * 2)[:n_steps]
    operations = steps_to_products(coefficients, sorted(restarts), folds_diagonal=folds_diagonal)
    placed = layout(operations, short, short + extra, x.itemsize)
    divisor = torch.linalg.norm(x).item()
    result = carry_out_in_place(operations, placed, x, divisor)
    torch.testing.assert_close(result, quintic(x / divisor, coefficients), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("shape", [(768, 768), (768, 2304), (768, 3072), (130, 131), (1024, 4096)])
@pytest.mark.parametrize("coefficients", [KELLER_JORDAN, KELLER_JORDAN[:2]], ids=["odd", "even"])
@pytest.mark.parametrize("restarts", RESTARTS.values(), ids=RESTARTS)
def test_places_are_aligned_and_lie_in_one_piece_each(
    shape: tuple[int, int], coefficients: tuple[Coefficients, ...], restarts: tuple[int, ...]
) -> None:
    placed = layout(steps_to_products(coefficients, restarts), *shape, 2)
    for place in placed.places.values():
        assert place.offset % BASE_BYTES == 0
        assert place.leading % 16 == 0
        assert place.end <= placed.bytes
        assert place.end <= placed.source_bytes or place.offset >= placed.source_bytes


@pytest.mark.parametrize(
    ("restarts", "shape", "n_squares"),
    [
        ((1, 2, 3, 4), (768, 768), 1),
        ((1, 2, 3, 4), (768, 3072), 1),
        ((2, 4), (768, 1520), 2),
        ((2, 4), (768, 1536), 1),
        ((2, 4), (768, 3072), 1),
        ((3,), (768, 1536), 2),
        ((3,), (768, 3072), 1),
    ],
)
def test_working_set_is_two_panels_and_few_squares(
    restarts: tuple[int, ...], shape: tuple[int, int], n_squares: int
) -> None:
    short, long = shape
    panel, square = short * -(-long // 16) * 16 * 2, short * short * 2
    assert layout(steps_to_products(KELLER_JORDAN, restarts), short, long, 2).bytes == 2 * panel + n_squares * square


def test_small_matrix_is_iterated_where_it_lies() -> None:
    placed = FAST.layout(17, 33)
    assert (placed.scratch_bytes, placed.leading, placed.result_address(1 << 20, 0)) == (0, 48, 1 << 20)


# Waves.


@given(*[st.text("ab", max_size=8)] * 2)
def test_supersequence_of_two_is_a_shortest_one(first: str, second: str) -> None:
    merged = common_supersequence(first, second)
    for sequence in (first, second):
        taken = places(sequence, merged)
        assert [merged[place] for place in taken] == list(sequence)
        assert all(before < after for before, after in pairwise(taken))
    # The longest common subsequence is what two sequences can share.
    shared = max(
        bin(mask).count("1")
        for mask in range(1 << len(first))
        if _is_subsequence([first[i] for i in range(len(first)) if mask >> i & 1], second)
    )
    assert len(merged) == len(first) + len(second) - shared


def _is_subsequence(part: list[str], whole: str) -> bool:
    remaining = iter(whole)
    return all(letter in remaining for letter in part)


def test_waves_hold_every_sequence_and_depend_on_the_set_alone() -> None:
    sequences = ["osaosaosa", "ossssaosa", "oaoaoa", "pqpq"]
    merged = waves(sequences)
    for sequence in sequences:
        places(sequence, merged)
    assert len(merged) < sum(map(len, sequences)) / 2 + 4
    assert {waves([*order, *order]) for order in permutations(sequences)} == {merged}


def test_sequence_that_a_merged_one_does_not_hold_is_refused() -> None:
    with pytest.raises(ValueError, match="not in tuple"):
        places("aba", ("a", "b"))


# Launches.


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("iteration", [DIRECT, FAST, FAST_FP16], ids=["direct", "gram bf16", "gram fp16"])
def test_products_of_gpt2_small_take_few_launches(iteration: Iteration, architecture: str) -> None:
    launches = iteration_launches(iteration, members_of(GPT2_SMALL), device=CPU, architecture=architecture)
    print(f"\n{architecture}: {len(launches)} launches")
    for launch in launches:
        print(f"  {launch.matrices:3} matrices, {launch.grid:6} programs: {launch.title}")
    assert len(launches) <= 25


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(
    ("iteration", "limit"), [(DIRECT, 0.76), (FAST, 0.64), (FAST_FP16, 0.58)], ids=["direct", "gram bf16", "gram fp16"]
)
def test_products_of_gpt2_small_take_fewer_flops_than_dense_ones(
    iteration: Iteration, limit: float, architecture: str
) -> None:
    executed = sum(iteration_flops(iteration, *shape, architecture) for shape in GPT2_SMALL)
    share = executed / sum(dense_flops(iteration, *shape) for shape in GPT2_SMALL)
    print(f"\n{architecture}: {share:.4f} of dense direct")
    assert share <= limit


def test_launches_name_what_they_compute() -> None:
    launches = iteration_launches(DIRECT, members_of([(768, 768)]), device=CPU, architecture="sm_90")
    assert launches[0].title == "s1 ← x0 x0ᵀ / d²"
    assert launches[-1].title == "x5 ← z5 x4"


def test_empty_members_are_skipped() -> None:
    assert iteration_launches(FAST, members_of([(0, 5), (0, 0)]), device=CPU, architecture="sm_90") == []


def test_forms_share_launches() -> None:
    together = iteration_launches(FAST, members_of(GPT2_SMALL), device=CPU, architecture="sm_90")
    alone = iteration_launches(FAST, members_of([(768, 3072)]), device=CPU, architecture="sm_90")
    assert len(alone) == 17
    assert len(together) == 21


# Results, in Triton's interpreter.


@pytest.fixture(scope="module")
def interpreted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Tensor]]:
    """What `interpret_iteration.py` found, in a process of its own: the interpreter is chosen when kernels are made."""
    path = tmp_path_factory.mktemp("iteration") / "results.pt"
    finished = subprocess.run(
        [sys.executable, "-m", "tests.triton.interpret_iteration", str(path)],
        cwd=ROOT,
        env={"TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1", "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    results: dict[str, list[Tensor]] = torch.load(path)
    return results


@pytest.mark.parametrize("name", ["direct", "faithful", "gram", "polar_express", "even"])
def test_launches_yield_the_iteration(interpreted: dict[str, list[Tensor]], name: str) -> None:
    for result, exact in zip(interpreted[name], interpreted[f"{name}, exact"], strict=True):
        error = torch.linalg.norm(result - exact) / torch.linalg.norm(exact).clamp(min=1e-30)
        print(f"{name} {tuple(exact.shape)}: {error:.1e}")
        assert error <= 1e-5


def test_results_do_not_depend_on_the_other_matrices(interpreted: dict[str, list[Tensor]]) -> None:
    for result, alone in zip(interpreted["gram"], interpreted["gram, one at a time"], strict=True):
        assert torch.equal(result, alone)
    for result, reversed_ in zip(interpreted["gram"], reversed(interpreted["gram, reversed"]), strict=True):
        assert torch.equal(result, reversed_)


def test_zero_matrix_stays_zero(interpreted: dict[str, list[Tensor]]) -> None:
    assert not interpreted["zero"][0].any()
