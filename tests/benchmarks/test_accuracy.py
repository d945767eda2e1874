"""The bar, and the table of what is held to it."""

from __future__ import annotations

import pytest
import torch

from benchmarks.accuracy import ITERATIONS, Accuracy, Errors, bar, errors, exact, measure, step_by_step, table
from benchmarks.spectra import SPECTRA, matrix


def test_the_bar_is_a_multiple_and_an_allowance() -> None:
    assert bar(Errors(0.01, 0.02)) == pytest.approx((0.0175, 0.035))
    assert Errors(0.0175, 0.035).is_within(Errors(0.0175, 0.035))
    assert not Errors(0.02, 0.0).is_within(Errors(0.0175, 0.035))
    assert not Errors(0.0, 0.04).is_within(Errors(0.0175, 0.035))


def test_errors_are_relative_and_of_the_worst_singular_value() -> None:
    expected = torch.diag(torch.tensor([4.0, 3.0], dtype=torch.float64))
    found = torch.diag(torch.tensor([4.0, 3.5]))
    assert errors(found, expected) == pytest.approx((0.1, 0.5))


@pytest.mark.parametrize("spectrum", SPECTRA)
def test_matrices_have_the_singular_values_asked_for(spectrum: str) -> None:
    x = matrix(40, 48, spectrum)
    expected = SPECTRA[spectrum](40)
    torch.testing.assert_close(torch.linalg.svdvals(x), expected / expected.norm(), atol=1e-12, rtol=0)


@pytest.mark.parametrize("name", ITERATIONS)
def test_what_is_rounded_in_every_step_is_near_what_is_not(name: str) -> None:
    coefficients = ITERATIONS[name].coefficients
    x = matrix(16, 24)
    torch.testing.assert_close(step_by_step(x, coefficients), exact(x, coefficients))


def test_what_is_over_the_bar_is_said_to_be() -> None:
    over = Accuracy("keller_jordan", (2, 3), "gauss", "gram", Errors(0.01, 0.01), Errors(0.02, 0.01))
    within = Accuracy("keller_jordan", (2, 3), "1/i", "direct", Errors(0.01, 0.01), Errors(0.01, 0.02))
    _, first, second = (line.split() for line in table([over, within]))
    assert first[-9:] == ["gram", "0.0100", "0.0200", "0.0175", "0.0100", "0.0100", "0.0200", "NOT", "WITHIN"]
    assert second[-8:] == ["direct", "0.0100", "0.0100", "0.0175", "0.0100", "0.0200", "0.0200", "within"]


def test_every_spectrum_is_measured_with_either_coefficients() -> None:
    found = measure([(48, 64)], progress=lambda what: None)
    assert len(found) == 8
    assert all(each.of_generated.is_within(each.limit) for each in found)
