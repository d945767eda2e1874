"""Products that are called symmetric are, whatever the inputs are; those that are plainly symmetric are found."""

from __future__ import annotations

import pytest

from muondsl.interface import pipeline
from muondsl.ir.printer import print_operation
from muondsl.optimize import optimize_for_gpu
from muondsl.pipeline import Options
from muondsl.schedule.symmetry import symmetric_products
from tests.specs import every_spec, path_of


def found(*lines: str) -> list[str]:
    """The symmetric products of statements, printed."""
    text = "\n".join(["optimizer Example", "hyper lr = 1", "momentum {", *lines, "}", ""])
    program = optimize_for_gpu(pipeline(text, Options(numerics="faithful")).optimized(), "faithful").matrix
    symmetric = symmetric_products(program)
    return [print_operation(each.operation) for each in program.definitions if each.value in symmetric]


GRAM = "let s = update @ update'"


@pytest.mark.parametrize(
    ("lines", "count"),
    [
        ((GRAM, "update <- s @ update"), 1),
        ((GRAM, "update <- (s @ s) @ update"), 2),
        ((GRAM, "let p = 0.5*s + 0.25*(s @ s)", "update <- (p @ s) @ update"), 3),
        ((GRAM, "update <- (s @ s') @ update"), 2),
        (("let s = update' @ update", "update <- update @ (s @ s)"), 2),
        ((GRAM, "let other = gradient @ gradient' + s", "update <- other @ update + s @ gradient"), 1),
    ],
)
def test_polynomials_of_one_square_are_symmetric(lines: tuple[str, ...], count: int) -> None:
    assert len(found(*lines)) == count


@pytest.mark.parametrize(
    "lines",
    [
        ("let s = update @ parameter'", "update <- s @ update"),
        ("let s = update @ parameter'", "update <- (s + s @ s) @ update"),
        ("let s = update @ parameter'", "update <- (s - s') @ update"),
    ],
)
def test_products_of_two_matrices_are_not(lines: tuple[str, ...]) -> None:
    assert found(*lines) == []


def test_products_of_two_symmetric_matrices_are_not() -> None:
    squares = ("let s = update @ update'", "let t = parameter @ parameter'")
    assert len(found(*squares, "update <- (s @ t) @ update")) == 2
    assert len(found(*squares, "update <- ((s + t) @ s) @ update")) == 2


def test_a_function_of_elements_ends_what_is_known() -> None:
    """It would be symmetric, but commutes with nothing."""
    assert len(found(GRAM, "let p = tanh(s)", "update <- (p @ s) @ update")) == 1


OUTSIDE_OF_QUINTICS = {
    "mud": 1,
    "procrustes_newton_schulz": 1,
    "root": 10,  # its coefficients depend on the shape
    "swan": 10,  # cubic
    "turbo_muon": 1,
}


@every_spec
def test_iterations_are_collected_whole(name: str) -> None:
    program = optimize_for_gpu(pipeline(path_of(name), Options()).optimized(), "fast").matrix
    assert len(symmetric_products(program)) == OUTSIDE_OF_QUINTICS.get(name, 0)
