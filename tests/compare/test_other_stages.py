"""Second moments, signs, norms, decays, projections: what is measured is what the rules are."""

from __future__ import annotations

import pytest

from muondsl.compare import Finding
from tests.compare.specs import HEAD, compared, found, numbers

DECAY = "hyper weight_decay = 0 in [0, inf)\n"
TRIPLED = "{\n  update <- 3*update\n}"


def adapt(rule: str) -> dict[str, Finding]:
    """What tells a rule from a multiple of the update, by aspects."""
    comparison = compared(f"{HEAD}adapt {TRIPLED}\n", f"{HEAD}adapt {rule}\n")
    return {each.aspect: each for each in comparison.findings}


REACHES = {
    "signed()": "the same element of the update",
    "second_moment(0.9)": "the same element of the update",
    "row_normalized()": "its row",
    "column_normalized()": "its column",
    "equilibrated()": "its row and its column",
    "with_norm(1)": "the whole matrix, by its singular values",
    "normuon()": "the whole matrix",
    "{\n  update <- update / max(norm(update, over = short), 1e-12)\n}": (
        "its row in matrices with more rows than columns, its column in the others"
    ),
}


@pytest.mark.parametrize("rule", REACHES)
def test_what_an_element_depends_on_is_told(rule: str) -> None:
    assert adapt(rule)["an element of the result depends on"].b == REACHES[rule]


SIZES = {
    "signed()": "does not depend on the update's",
    "normuon()": "in proportion to the update's",
    "{\n  update <- update * abs(update)\n}": "follows the update's to the power of 2",
    "{\n  update <- sign(update) * sqrt(abs(update))\n}": "follows the update's to the power of 0.5",
    "{\n  update <- update * min(1, 1 / max(norm(update), 1e-12))\n}": (
        "follows the update's in one way where that is large, in another where it is small"
    ),
    "{\n  update <- update + update*abs(update)\n}": "neither in proportion to the update's nor without regard to it",
}


@pytest.mark.parametrize("rule", SIZES)
def test_how_the_size_follows_the_updates_is_told(rule: str) -> None:
    assert adapt(rule)["size of the result"].b == SIZES[rule]


NORMS = {
    "signed()": "every element, but for its sign, is 1",
    "row_normalized()": "every row's norm is 1",
    "column_normalized()": "every column's norm is 1",
    "normuon()": "the root mean square stays",
    "adamuon(0.9)": "every element, but for its sign, is 1",
}


@pytest.mark.parametrize("rule", NORMS)
def test_norms_that_are_given_are_told(rule: str) -> None:
    assert adapt(rule)["norms of the result"].b == NORMS[rule]


KEPT = {
    "second_moment(0.9)": "second_momentum_buffer: of degree 2 in the update, keeps 0.9 a step",
    "normuon(beta2 = 0.8)": "second_momentum_buffer: of degree 2 in the update, keeps 0.8 a step",
    "{\n  state seen[1, 1] = zeros\n  seen <- 0.75*seen + norm(gradient)**3\n  update <- update / sqrt(seen)\n}": (
        "seen: of degree 3 in the update, keeps 0.75 a step"
    ),
    "lion((0.9, 0.99))": "momentum_buffer: of degree 1 in the update, keeps 0.99 a step",
    "{\n  state old = zeros\n  update <- update * abs(old)\n  old <- update\n}": "",
}


@pytest.mark.parametrize("rule", KEPT)
def test_what_is_kept_is_told_with_how_long(rule: str) -> None:
    stage = "otherwise" if rule.startswith("lion") else "adapt"
    plain = "heavy_ball(0.9)" if stage == "otherwise" else TRIPLED
    momentum = f"{HEAD}momentum ema(0.9)\n"
    comparison = compared(f"{momentum}{stage} {plain}\n", f"{momentum}{stage} {rule}\n")
    kept = [each.b for each in comparison.findings if each.aspect == "what is kept"]
    assert kept == ([KEPT[rule]] if KEPT[rule] else [])


def test_states_are_told_with_shape_format_and_beginning() -> None:
    comparison = compared(f"{HEAD}adapt second_moment(0.9)\n", f"{HEAD}adapt normuon()\n")
    finding = found(comparison, "adapt", "states")
    assert finding.a == "second_momentum_buffer[rows, cols], in the format of the parameter, at first 0"
    assert finding.b == "second_momentum_buffer[long], in fp32, at first 0"


def test_results_for_the_same_updates_stand_beside_each_other() -> None:
    """The sign of a matrix and the matrix over its root mean square: both have a mean square of one."""
    comparison = compared(f"{HEAD}adapt with_norm(sqrt(numel))\n", f"{HEAD}adapt signed()\n")
    finding = found(comparison, "adapt", "root mean square of the result, for the same updates")
    for each in finding.numbers:
        assert (each.a, each.b) == pytest.approx((1, 1))
        assert each.cosine == pytest.approx((2 / 3.141592653589793) ** 0.5, abs=0.03)


DECAYS = {
    "decoupled(weight_decay)": ("everywhere", "η λ of it"),
    "{\n  parameter <- parameter * (1 - weight_decay*lr)\n}": ("everywhere", "η λ of it"),
    "decoupled(2*weight_decay)": ("everywhere", "2 η λ of it"),
    "decoupled(weight_decay * scale)": ("everywhere", "η λ κ of it"),
    "decoupled(-1*weight_decay)": ("everywhere", "-1 η λ of it"),
    "{\n  parameter <- parameter * (1 - weight_decay)\n}": ("everywhere", "λ of it"),
    "{\n  parameter <- parameter * (1 - lr**2 * weight_decay)\n}": ("everywhere", "η^2 λ of it"),
    "{\n  parameter <- parameter * (1 - lr*weight_decay - 0.01)\n}": ("everywhere", "0.02 of it, at η = 0.1, λ = 0.1"),
    "cautious(weight_decay)": ("where update and parameter have the same sign or do not both have one", "η λ of it"),
    "{\n  parameter <- if update*parameter > 0 then parameter * (1 - lr*weight_decay) else parameter\n}": (
        "where update and parameter have the same sign",
        "η λ of it",
    ),
    "{\n  parameter <- if update == 0 then parameter * (1 - weight_decay) else parameter\n}": (
        "where update and parameter do not both have one",
        "λ of it",
    ),
}


@pytest.mark.parametrize("rule", DECAYS)
def test_decays_are_told_by_where_and_how_much(rule: str) -> None:
    scale = "scale rows / cols\n"
    plain = "{\n  parameter <- parameter + 0*weight_decay*update*abs(update)\n}"
    comparison = compared(f"{HEAD}{DECAY}{scale}decay {plain}\n", f"{HEAD}{DECAY}{scale}decay {rule}\n")
    where, part = (found(comparison, "decay", aspect) for aspect in ("where it shrinks", "part taken away in a step"))
    assert (where.a, where.b) == (None, DECAYS[rule][0])
    assert (part.a, part.b) == (None, DECAYS[rule][1])


def test_a_decay_of_two_rates_is_held_against_others_and_has_no_one_rate() -> None:
    rule = "{\n  parameter <- parameter * (1 - (if update*parameter > 0 then 0.1 else 0.2)*lr)\n}"
    comparison = compared(f"{HEAD}decay decoupled(0.1)\n", f"{HEAD}decay {rule}\n")
    assert found(comparison, "decay", "where it shrinks").b is None
    assert found(comparison, "decay", "part taken away in a step").b is None
    for each in found(comparison, "decay", "root mean square of the parameter, for the same parameters").numbers:
        assert (each.a or 0) < (each.b or 0) < 2.001 * (each.a or 0)


def test_decays_that_are_not_alike_everywhere_are_held_against_each_other() -> None:
    """A cautious decay moves half of the elements as far as the other one moves all."""
    a, b = (f"{HEAD}decay {rule}(0.5)\n" for rule in ("decoupled", "cautious"))
    for each in found(compared(a, b), "decay", "root mean square of the parameter, for the same parameters").numbers:
        assert each.cosine == pytest.approx((each.b or 0) / (each.a or 1))
        assert 0.4 < each.cosine < 0.95


def test_a_difference_that_nothing_measured_shows_is_found_as_it_is_written() -> None:
    """Where these two differ is nowhere among the matrices that are measured, and no more is said."""
    rule = "{{\n  parameter <- if abs(update) > {} then parameter else parameter * (1 - lr)\n}}"
    a, b = (f"{HEAD}decay {rule.format(limit)}\n" for limit in (1000, 1001))
    (finding,) = compared(a, b).findings
    assert (finding.stage, finding.aspect) == ("decay", "as written, with the same results wherever they are measured")


def test_a_decay_that_is_no_part_of_the_parameter_is_told_by_what_it_depends_on() -> None:
    rule = "{\n  parameter <- parameter - lr*weight_decay*sign(parameter) + 0.1*gradient\n}"
    comparison = compared(f"{HEAD}{DECAY}decay decoupled(weight_decay)\n", f"{HEAD}{DECAY}decay {rule}\n")
    finding = found(comparison, "decay", "what the parameter becomes depends on")
    assert (finding.a, finding.b) == (None, "the parameter, the update")
    assert found(comparison, "decay", "where it shrinks").b is None


PROJECTIONS = {
    "{\n  parameter <- parameter * (norm(previous) / norm(parameter))\n}": (
        "the root mean square is that of before the step"
    ),
    "{\n  parameter <- parameter * (norm(previous, over = cols) / norm(parameter, over = cols))\n}": (
        "every row's norm is that of before the step"
    ),
    "{\n  row_normalized() on parameter\n}": "every row's norm is 1",
    "{\n  parameter <- 2*parameter / norm(parameter)\n}": "the Frobenius norm is 2",
    "{\n  polar() on parameter\n}": "every singular value is 1",
    "{\n  parameter <- 0.5*parameter\n}": "every element, but for its sign, is 0.5 times that of behind the step",
    "{\n  parameter <- parameter + 1\n}": "none is given",
}


@pytest.mark.parametrize("rule", PROJECTIONS)
def test_projections_are_told_by_the_norms_that_they_give(rule: str) -> None:
    comparison = compared(f"{HEAD}project {{\n  parameter <- parameter + 2\n}}\n", f"{HEAD}project {rule}\n")
    norms = [each.b for each in comparison.findings if each.aspect == "norms of the parameter"]
    assert norms == ([PROJECTIONS[rule]] if PROJECTIONS[rule] != "none is given" else [])


EXPORTING = """adapt {
  export let radius = norm(parameter)
  update <- update * (radius / norm(update))
}
project {
  parameter <- parameter * (FACTOR*radius / norm(parameter))
}
"""


def test_a_stage_that_reads_what_another_exports_is_measured_with_it() -> None:
    a, b = (HEAD + EXPORTING.replace("FACTOR", factor) for factor in ("1", "0.5"))
    comparison = compared(a, b)
    assert {each.stage for each in comparison.findings} == {"project"}
    finding = found(comparison, "project", "norms of the parameter")
    assert finding.a == "the root mean square is that of before the step"
    assert finding.b == "the root mean square is 0.5 times that of before the step"
    for each in found(comparison, "project", "root mean square of the parameter, for the same parameters").numbers:
        assert each.b == pytest.approx(0.5 * (each.a or 0))
        assert each.cosine == pytest.approx(1)


def test_a_stage_is_measured_with_all_between_it_and_what_it_reads() -> None:
    """`adapt` reads the name, too, so that it cannot be joined without the momentum either."""
    spec = HEAD + (
        "hyper weight_decay = 0.1\n"
        "momentum {\n  export let size = norm(update)\n  update <- update / size\n}\n"
        "adapt {\n  update <- update * min(size, 1)\n}\n"
        "decay decoupled(weight_decay * FACTOR)\n"
    )
    a, b = (spec.replace("FACTOR", f"{number}").replace("decoupled(", "shrunk(size, ") for number in ("1", "2"))
    a, b = (
        text + "rule shrunk(size, part) {\n  parameter <- parameter * (1 - lr*part*min(size, 1))\n}\n"
        for text in (a, b)
    )
    comparison = compared(a, b)
    assert {each.stage for each in comparison.findings} == {"decay"}
    finding = found(comparison, "decay", "part taken away in a step")
    assert (finding.a, finding.b) == ("η λ of it", "2 η λ of it")


def test_an_exported_condition_can_be_read() -> None:
    spec = HEAD + (
        "momentum {\n  export let large = abs(update) > 1\n  update <- 2*update\n}\n"
        "adapt {\n  update <- if large then update else FACTOR*update\n}\n"
    )
    comparison = compared(spec.replace("FACTOR", "0.5"), spec.replace("FACTOR", "0.25"))
    assert {each.stage for each in comparison.findings} == {"adapt"}
    finding = found(comparison, "adapt", "root mean square of the result, for the same updates")
    assert all(each.a and each.b and each.b < each.a for each in finding.numbers)


def test_what_a_stage_reads_besides_is_told() -> None:
    a, b = (
        HEAD + f"momentum ema(0.9)\nadapt {{\n  update <- update * (if {read} then 1 else 0)\n}}\n"
        for read in ("update*gradient > 0", "update*parameter > 0")
    )
    finding = found(compared(a, b), "adapt", "what it reads besides")
    assert (finding.a, finding.b) == ("gradient", "parameter")


def test_what_a_projection_reads_besides_is_told() -> None:
    a, b = (
        HEAD + f"project {{\n  parameter <- parameter / max(norm({read}), 1e-3)\n}}\n"
        for read in ("parameter", "previous")
    )
    finding = found(compared(a, b), "project", "what it reads besides")
    assert (finding.a, finding.b) == (None, "previous")


def test_results_that_differ_for_the_same_updates_are_not_said_to_be_the_same() -> None:
    """Everything else that is told of a sign and its negative is the same."""
    a, b = (f"{HEAD}adapt {{\n  update <- {sign}sign(update)\n}}\n" for sign in ("", "-1*"))
    paired, written = compared(a, b).findings
    assert [each.cosine for each in paired.numbers] == pytest.approx([-1] * 4)
    assert written.aspect == "as written"


def test_the_whole_step_shows_what_stages_cancel() -> None:
    """A sum in the place of an average is nothing to an orthogonalizer, but for its epsilon."""
    a, b = (HEAD + f"momentum {rule}(0.9)\northogonalize polar()\n" for rule in ("ema", "heavy_ball"))
    (note,) = compared(a, b).notes
    assert (note.stage, note.a, note.b) == ("step", *["the same in float64, to seven digits"] * 2)
    for each in note.numbers:
        assert each.b == pytest.approx(each.a)
        assert each.cosine == pytest.approx(1)
    first = dict(numbers(note))["64 × 64, 1 step"][0]
    assert first == pytest.approx(1 / 8), "a square orthogonal matrix has a mean square of 1/64"
