"""Functions of singular values: what is measured on matrices is what the polynomials give on numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from muondsl.compare import Finding
from tests.compare.specs import HEAD, compared, found, numbers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

KELLER_JORDAN = [(3.4445, -4.7750, 2.0315)] * 5
EXPRESS = [
    (8.156554524902461, -22.48329292557795, 15.878769915207462),
    (4.042929935166739, -2.808917465908714, 0.5000178451051316),
    (3.8916678022926607, -2.772484153217685, 0.5060648178503393),
    (3.285753657755655, -2.3681294933425376, 0.46449024233003106),
    (2.3465413258596377, -1.7097828382687081, 0.42323551169305323),
]
GRID = [10 ** (-3 + 3 * place / 40_000) for place in range(40_001)]


def odd(table: Sequence[tuple[float, ...]], safety: float = 1) -> Callable[[float], float]:
    def function(x: float) -> float:
        x /= safety
        for row in table:
            x = sum(coefficient * x ** (2 * place + 1) for place, coefficient in enumerate(row))
        return x

    return function


def spec(rule: str) -> str:
    return f"{HEAD}orthogonalize {rule}\n"


def finding_of(rule: str, other: str = "{\n  update <- 3*update\n}") -> Finding:
    """What a rule does to singular values, compared with a stage that is linear and has no such finding."""
    return found(compared(spec(other), spec(rule)), "orthogonalize", "where singular values go")


NORMALISING = {
    "newton_schulz()": odd(KELLER_JORDAN),
    "newton_schulz(steps = 3)": odd(KELLER_JORDAN[:3]),
    "polar_express()": odd(EXPRESS, 1.02),
    "cubic_newton_schulz(4)": odd([(1.5, -0.5)] * 4),
    "newton_schulz(coefficients = aurora_quintic, steps = 12)": odd([(2, -1.5, 0.5)] * 12),
    "polar()": lambda x: 1.0 if x > 1e-6 else 0.0,
}


@pytest.mark.parametrize("rule", NORMALISING)
def test_parts_of_the_norm_go_where_the_polynomial_takes_them(rule: str) -> None:
    function = NORMALISING[rule]
    finding = finding_of(rule)
    assert finding.b == "parts σ of the Frobenius norm"
    measured = {label: b for label, (_, b) in numbers(finding).items()}
    for value in (0.001, 0.01, 0.1, 0.3, 1.0):
        assert measured[f"σ = {value:g}"] == pytest.approx(function(value), rel=1e-5)
    image = [function(value) for value in GRID]
    assert measured["least for σ in [0.001, 1]"] == pytest.approx(min(image), rel=1e-6)
    assert measured["most for σ in [0.001, 1]"] == pytest.approx(max(image), rel=1e-6)
    assert measured["slope at σ = 0"] == pytest.approx(function(1e-8) / 1e-8, rel=1e-4)


def test_a_stage_that_does_not_normalise_is_measured_at_a_norm_of_one() -> None:
    finding = finding_of("spectral_clip(0.25)")
    assert finding.b == "singular values σ, of a Frobenius norm of 1"
    measured = {label: b for label, (_, b) in numbers(finding).items()}
    assert [measured[f"σ = {value:g}"] for value in (0.01, 0.1, 0.3, 1)] == pytest.approx([0.01, 0.1, 0.25, 0.25])


def test_a_power_has_no_slope_at_zero() -> None:
    finding = finding_of("spectral_power(0.5, cutoff = 0)")
    assert dict(numbers(finding))["slope at σ = 0"] == (None, float("inf"))


def test_a_table_that_diverges_is_said_to() -> None:
    """x ← 0.1x + x⁵ grows from 0.974 on."""
    measured = dict(numbers(finding_of("newton_schulz(coefficients = [(0.1, 0, 1)], steps = 10)")))
    assert measured["σ = 0.3"] == (None, pytest.approx(0, abs=1e-6))
    assert measured["least for σ in [0.001, 1]"] == (None, float("-inf"))
    assert measured["most for σ in [0.001, 1]"] == (None, float("inf"))
    everywhere = spec("newton_schulz(coefficients = [(-3.4445, -4.7750, 2.0315)], steps = 30)")
    finding = found(compared(spec("polar()"), everywhere), "orthogonalize", "result for Gaussian updates")
    assert (finding.a, finding.b) == (None, "not finite")


@pytest.mark.parametrize("rule", ["turbo()", "triangular()", "row_normalized()"])
def test_what_does_more_than_move_singular_values_is_measured_on_gaussian_matrices(rule: str) -> None:
    comparison = compared(spec("newton_schulz()"), spec(rule))
    finding = found(comparison, "orthogonalize", "an element of the result depends on")
    assert finding.a == "the whole matrix, by its singular values"
    assert finding.b == ("its row" if rule == "row_normalized()" else "the whole matrix")
    measured = numbers(found(comparison, "orthogonalize", "result for Gaussian updates"))
    assert all(a is None and b is not None and 0 < b < 6 for a, b in measured.values())


def test_the_triangular_solve_is_exact_on_a_single_pass_of_orthogonal_rows() -> None:
    """MUD leaves rows of norm one, and those of a Gaussian matrix are not far from orthogonal behind it."""
    measured = numbers(found(compared(spec("polar()"), spec("triangular()")), "orthogonalize", "norms of the result"))
    assert measured == {}
    finding = found(compared(spec("polar()"), spec("triangular()")), "orthogonalize", "result for Gaussian updates")
    cosine = dict(numbers(finding))["cosine with the polar factor, 16 × 24"][1]
    assert cosine is not None
    assert cosine > 0.9


def test_tables_are_told_with_their_sources_and_digits() -> None:
    finding = found(
        compared(spec("newton_schulz()"), spec("polar_express(steps = 6)")), "orthogonalize", "coefficients"
    )
    assert finding.a == (
        "5 steps of keller_jordan (https://kellerjordan.github.io/posts/muon/)\nsteps 1 to 5: (3.4445, -4.7750, 2.0315)"
    )
    lines = (finding.b or "").split("\n")
    assert lines[0].startswith("6 steps of polar_express_nanochat (arXiv:2505.16932")
    assert lines[1] == "step 1: (8.156554524902461, -22.48329292557795, 15.878769915207462)"
    assert lines[5] == "steps 5 to 6: (2.3465413258596377, -1.7097828382687081, 0.42323551169305323)"


def test_a_table_of_ones_own_has_its_name_and_one_in_place_has_none() -> None:
    mine = spec("newton_schulz(coefficients = mine)") + "const mine = [(3, -4, 2)]\n"
    finding = found(
        compared(mine, spec("newton_schulz(coefficients = [(3, -4, 2.5)])")), "orthogonalize", "coefficients"
    )
    assert finding.a == "5 steps of mine\nsteps 1 to 5: (3, -4, 2)"
    assert finding.b == "5 steps\nsteps 1 to 5: (3, -4, 2.5)"


def test_a_table_has_a_name_only_where_all_of_it_comes_from_there() -> None:
    """Not where its digits are written out, nor where it is joined with another one."""
    written, joined = "[(3.4445, -4.7750, 2.0315)]", "join(take(keller_jordan, 4), [(2, -1.5, 0.5)])"
    pair = (spec(f"newton_schulz(coefficients = {table})") for table in (written, joined))
    finding = found(compared(*pair), "orthogonalize", "coefficients")
    assert finding.a == "steps 1 to 5: (3.4445, -4.7750, 2.0315)"
    assert finding.b == "steps 1 to 4: (3.4445, -4.7750, 2.0315)\nstep 5: (2, -1.5, 0.5)"


EPSILONS = {
    "newton_schulz(eps = 1e-7)": "1e-7, added to the norm",
    "newton_schulz(eps = 1e-7, clamped = true)": "1e-7, a lower bound of the norm",
    "polar_express(eps = 1e-6)": "1e-6, added to 1.02 times the norm",
    "turbo(eps = 1e-7)": "1e-7, a lower bound of the sums of rows of the side, inside the root",
    "row_normalized(eps = 1e-8)": "1e-8, a lower bound of the norms of rows",
    "column_equilibrated(eps = 1e-8)": "1e-8, added to the sums of columns, inside the root",
    "inverse_root(5, eps = 1e-7)": "1e-7, times the identity\n1e-7, added to the trace, inside the root",
    "second_moment(0.9, eps = 1e-8)": "1e-8, added to the root",
    "second_moment(0.9, eps = 1e-8, corrected = true)": "1e-8, added to the root over √(1 − 0.9^t)",
    "normuon(eps = 1e-10)": "1e-10, a lower bound of the state second_momentum_buffer, inside the root\n"
    "1e-10, a lower bound of the root",
}


@pytest.mark.parametrize("rule", EPSILONS)
def test_epsilons_are_told_with_the_place_where_they_act(rule: str) -> None:
    finding = found(compared(spec("{\n  update <- 3*update\n}"), spec(rule)), "orthogonalize", "epsilon")
    assert (finding.a, finding.b) == (None, EPSILONS[rule])


def test_what_an_epsilon_does_shows_in_tiny_updates_alone() -> None:
    """‖u‖ + ε halves an update of norm ε where max(‖u‖, ε) leaves it: with slope 3 in the place of the iteration."""
    rule = "newton_schulz(steps = 1, coefficients = [(3, 0, 0)], eps = 1e-6, clamped = {}, dtype = fp32)"
    pair = spec(rule.format("true")), spec(rule.format("false"))
    finding = found(compared(*pair), "orthogonalize", "root mean square of the result")
    unit = 3 / 24**0.5
    assert dict(numbers(finding))["of an update of norm 1e-06"] == pytest.approx((unit, unit / 2))
    assert dict(numbers(finding))["of an update of norm 100"] == pytest.approx((unit, unit))
    assert "where singular values go" not in {each.aspect for each in compared(*pair).findings}


def test_number_formats_are_told() -> None:
    finding = found(
        compared(spec("newton_schulz()"), spec("newton_schulz(dtype = fp32)")), "orthogonalize", "number format"
    )
    assert (finding.a, finding.b) == ("bf16", "fp32")
