"""Iterations for GPUs: what becomes one operation, what stays products, and that no pass changes what is computed."""

from __future__ import annotations

import pytest
import torch

from muondsl.interface import pipeline
from muondsl.ir import program as ir
from muondsl.ir.interpreter import initial_state, interpret
from muondsl.ir.printer import print_operation
from muondsl.optimize import NUMERICS, optimize_for_gpu
from muondsl.pipeline import Options
from tests.schedule.random_specs import SpecWriter

DIVIDED = "update <- update / (norm(update) + 0.1)"
QUINTIC = "odd_quintic(3, [(3.4445, -4.775, 2.0315)])"


def program(*lines: str, hyper: str = "", numerics: str = "fast") -> ir.Program:
    text = "\n".join(["optimizer Example", "hyper lr = 0.1", hyper, "orthogonalize {", *lines, "}", ""])
    stages = pipeline(text, Options(numerics="fast" if numerics == "fast" else "faithful"))
    return optimize_for_gpu(stages.optimized(), "fast" if numerics == "fast" else "faithful").matrix


def operations(found: ir.Program, kind: type) -> list[str]:
    return [print_operation(each.operation) for each in found.definitions if isinstance(each.operation, kind)]


def test_steps_in_a_row_are_one_iteration() -> None:
    (quintic,) = operations(program(DIVIDED, QUINTIC), ir.Quintic)
    assert quintic.endswith("by " + ", ".join(["(3.4445, -4.775, 2.0315)"] * 3))
    assert operations(program(DIVIDED, QUINTIC), ir.MatMul) == []
    assert operations(program(DIVIDED, QUINTIC), ir.Gemm) == []


def test_normalisation_is_folded_in_fast_numerics_alone() -> None:
    assert " / %" in operations(program(DIVIDED, QUINTIC), ir.Quintic)[0]
    assert " / %" not in operations(program(DIVIDED, QUINTIC, numerics="faithful"), ir.Quintic)[0]


def test_normalised_matrix_that_is_read_elsewhere_is_computed() -> None:
    found = program(DIVIDED, "let before = update", QUINTIC, "update <- update + before")
    assert " / %" not in operations(found, ir.Quintic)[0]


def test_normalisation_in_another_format_is_not_folded() -> None:
    """The first products would read a matrix of the narrower format."""
    state = "state size[1, 1]: fp32 = ones"
    found = program(
        state, "in bf16 {", "update <- 2*update", "}", "size <- 0.5*size", "update <- update / size", QUINTIC,
    )  # fmt: skip
    (quintic,) = [each for each in found.definitions if isinstance(each.operation, ir.Quintic)]
    assert isinstance(quintic.operation, ir.Quintic)
    assert quintic.operation.divisor is None
    assert found.definition(quintic.operation.operand).type.dtype == quintic.type.dtype


def test_value_between_steps_that_is_read_elsewhere_divides_the_iteration() -> None:
    found = program(DIVIDED, QUINTIC, "let mid = update", QUINTIC, "update <- update + mid")
    assert [each.count("(3.4445") for each in operations(found, ir.Quintic)] == [3, 3]


def test_value_between_steps_that_is_stored_divides_the_iteration() -> None:
    lines = ("state mid = zeros", "update <- update + mid", DIVIDED, QUINTIC, "mid <- update", QUINTIC)
    assert len(operations(program(*lines), ir.Quintic)) == 2


def test_step_whose_square_is_read_elsewhere_stays_products() -> None:
    lines = ("let s = update @ update'", "let p = -0.5*s + 0.1*(s @ s)", "update <- 1.5*update + p @ update")
    assert len(operations(program(DIVIDED, *lines), ir.Quintic)) == 1
    assert operations(program(DIVIDED, *lines, "update <- update + norm(s)"), ir.Quintic) == []


def test_step_whose_coefficients_are_hypers_stays_products_without_factors() -> None:
    lines = ("let s = update @ update'", "let p = -0.5*s + mu*(s @ s)", "update <- 1.5*update + p @ update")
    found = program(DIVIDED, *lines, hyper="hyper mu = 0.1")
    assert operations(found, ir.Quintic) == []
    assert all("mu" not in each for each in operations(found, ir.Gemm))
    assert len(operations(found, ir.MatMul)) == 2


def test_cubic_step_stays_products() -> None:
    found = program(DIVIDED, "update <- 1.5*update + (-0.5*(update @ update')) @ update")
    assert operations(found, ir.Quintic) == []


def test_square_is_not_iterated() -> None:
    found = program(
        DIVIDED,
        "let square = update' @ update",
        "for (a, b, c) in take([(1.5, -0.5, 0.1)], 2) {",
        "let s = square @ square'",
        "square <- a*square + (b*s + c*(s @ s)) @ square",
        "}",
        "update <- update @ square",
    )
    assert operations(found, ir.Quintic) == []


def test_norms_and_means_become_sums() -> None:
    found = program("update <- update / norm(update) + mean(update, over = short) + max(update)")
    assert sorted(each.split()[0] for each in operations(found, ir.Reduce)) == ["max", "sum", "sum"]
    assert "/ %mean_over_short.sum, min(rows, cols)" in operations(found, ir.Map)


def test_reductions_of_one_number_are_none() -> None:
    found = program("update <- update * norm(mean(max(update)))")
    assert [each.split()[0] for each in operations(found, ir.Reduce)] == ["max"]


@pytest.mark.parametrize("start", range(0, 60, 20))
def test_what_follows_for_gpus_changes_no_value(start: int) -> None:
    for seed in range(start, start + 20):
        text = SpecWriter(seed).text()
        for numerics in NUMERICS:
            stages = pipeline(text, Options(numerics=numerics))
            before, after = stages.program().matrix, optimize_for_gpu(stages.optimized(), numerics).matrix
            hypers = {each.name: each.default for each in stages.checked().hypers}
            numbers = {
                name: tuple(float(str(part)) for part in value) if isinstance(value, tuple) else float(str(value))
                for name, value in hypers.items()
            }
            for shape in ((4, 6), (6, 4), (5, 5)):
                parameter, gradient = torch.randn(2, *shape, generator=torch.Generator().manual_seed(seed)).double()
                states = initial_state(before, parameter, gradient)
                expected = interpret(before, parameter, gradient, states, numbers, 2)
                found = interpret(after, parameter, gradient, states, numbers, 2)
                for name, value in expected.items():
                    torch.testing.assert_close(found[name], value, rtol=1e-7, atol=1e-9, equal_nan=True)
