"""Two specs are told apart if and only if they are different, and the difference stands where it is."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest

from muondsl.lower import fingerprint
from tests.compare.specs import HEAD, MOMENTUM, checked, compared, stages_of
from tests.emit.random_specs import SpecWriter
from tests.parity.test_mutations import HYPERS, MUTATIONS, SPEC, SPEC_MUTATIONS, STAGES, WRITTEN_OUT
from tests.specs import ALL, CORE, every_spec, path_of

PAIRS = [
    *(pytest.param(a, b, id=f"{a}-{b}") for a, b in pairwise(CORE)),
    *(pytest.param(a, b, id=f"{a}-{b}", marks=pytest.mark.slow) for a, b in pairwise(ALL)),
]
"""Neighbours in the lists of specs."""

SEEDS = range(12)


def stage_at(text: str, place: int) -> str:
    """The word with which the item begins that `place` is in."""
    until = text.index("\n", place)
    (*_, line) = [line for line in text[:until].splitlines() if line[:1].isalpha()]
    return line.split()[0]


@every_spec
def test_a_spec_does_not_differ_from_itself(name: str) -> None:
    comparison = compared(path_of(name), path_of(name))
    assert comparison.is_same
    assert not comparison.notes


def test_rules_do_not_differ_from_what_they_stand_for() -> None:
    """Its checkpoints are of no stage: they are told, and make no difference."""
    comparison = compared(SPEC, WRITTEN_OUT)
    assert comparison.is_same
    assert [note.stage for note in comparison.notes] == ["checkpoints"]


@pytest.mark.parametrize(("a", "b"), PAIRS)
def test_two_specs_are_measured_and_the_other_way_round_their_columns_are_exchanged(a: str, b: str) -> None:
    comparison = compared(path_of(a), path_of(b))
    assert comparison.findings
    assert not any(each.aspect == "numbers" for each in comparison.findings)
    assert compared(path_of(b), path_of(a)) == comparison.swapped()


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_mutation_is_found_in_its_stage_and_in_no_other(name: str) -> None:
    old, new = MUTATIONS[name]
    stage = stage_at(WRITTEN_OUT, WRITTEN_OUT.index(old))
    assert stages_of(compared(WRITTEN_OUT, WRITTEN_OUT.replace(old, new))) == {stage}


@pytest.mark.parametrize("name", SPEC_MUTATIONS)
def test_a_mutation_of_a_use_of_a_rule_is_found_in_its_stage_and_in_no_other(name: str) -> None:
    old, new = SPEC_MUTATIONS[name]
    assert stages_of(compared(SPEC, SPEC.replace(old, new))) == {stage_at(SPEC, SPEC.index(old))}


@pytest.mark.parametrize("stage", STAGES)
def test_a_removed_stage_is_found_with_the_hyper_that_went_with_it(stage: str) -> None:
    shorter = WRITTEN_OUT.replace(STAGES[stage], "").replace(HYPERS.get(stage, "\0"), "")
    comparison = compared(WRITTEN_OUT, shorter)
    assert stages_of(comparison) == {stage, *(["hypers"] if stage in HYPERS else [])}
    (finding,) = (each for each in comparison.findings if each.aspect == "the stage")
    assert finding.a
    assert finding.b is None


def test_the_smallest_difference_of_a_coefficient_is_found() -> None:
    comparison = compared(WRITTEN_OUT, WRITTEN_OUT.replace("3.4445", "3.4445000000000001"))
    assert comparison.is_same, "both are one number in float64"
    comparison = compared(WRITTEN_OUT, WRITTEN_OUT.replace("3.4445", "3.444500000000001"))
    assert next((each.stage, each.aspect) for each in comparison.findings) == ("orthogonalize", "coefficients")


@pytest.mark.parametrize("seed", SEEDS)
def test_a_changed_number_in_a_random_spec_is_found_where_it_is(seed: int) -> None:
    text = SpecWriter(seed).text()
    place = Random(seed).choice(list(re.finditer(r"(?<![\w.])\d+\.\d+", text)))
    other = f"{text[: place.end()]}1{text[place.end() :]}"
    is_same = fingerprint(checked(text)) == fingerprint(checked(other))
    stage = stage_at(text, place.start())
    comparison = compared(text, other)
    assert stages_of(comparison) == (set() if is_same else {"hypers" if stage == "hyper" else stage})
    assert not any(each.aspect == "numbers" for each in comparison.findings)
    assert compared(other, text) == comparison.swapped()


@pytest.mark.parametrize("seed", SEEDS)
def test_random_specs_differ_where_their_fingerprints_do(seed: int) -> None:
    a, b = SpecWriter(seed).text(), SpecWriter(seed + 1).text()
    comparison = compared(a, b)
    identities = {fingerprint(replace(checked(text), name="")) for text in (a, b)}
    assert comparison.is_same == (len(identities) == 1)
    assert compared(b, a) == comparison.swapped()


def test_the_name_is_no_difference() -> None:
    assert compared(WRITTEN_OUT, WRITTEN_OUT.replace("optimizer TorchMuon", "optimizer Other")).is_same


def test_specs_without_a_common_stage_have_only_stages_of_their_own() -> None:
    a = HEAD + MOMENTUM + "momentum ema(momentum)\n"
    b = HEAD + "project {\n  parameter <- parameter / norm(parameter)\n}\n"
    comparison = compared(a, b)
    assert (comparison.a.stages, comparison.b.stages) == (("momentum",), ("project",))
    assert {each.stage for each in comparison.findings if each.aspect == "the stage"} == {"momentum", "project"}


def test_a_stage_that_is_written_otherwise_and_computes_the_same_is_said_to() -> None:
    a = HEAD + MOMENTUM + "momentum ema(momentum)\n"
    b = a.replace(
        "ema(momentum)",
        """{
  state momentum_buffer = zeros
  momentum_buffer <- momentum*momentum_buffer + (1 - momentum)*update
  update <- momentum_buffer
}""",
    )
    (finding,) = compared(a, b).findings
    assert finding.aspect == "as written, with the same results wherever they are measured"
    assert "lerp" in (finding.a or "")
    assert "lerp" not in (finding.b or "")


def test_a_hyper_by_another_name_is_a_difference_of_names() -> None:
    a = HEAD + MOMENTUM + "momentum ema(momentum)\n"
    b = a.replace("hyper momentum", "hyper keeping").replace("(momentum)", "(keeping)")
    comparison = compared(a, b)
    assert stages_of(comparison) == {"momentum", "hypers"}
    assert all("same results" in each.aspect for each in comparison.findings if each.stage == "momentum")


def test_a_state_by_another_name_is_a_difference_of_states_alone() -> None:
    a = WRITTEN_OUT
    (finding,) = compared(a, a.replace("momentum_buffer", "average")).findings
    assert (finding.stage, finding.aspect) == ("momentum", "states")
    assert "momentum_buffer[rows, cols]" in (finding.a or "")
    assert "average[rows, cols]" in (finding.b or "")


def test_where_a_stage_differs_the_stages_behind_it_do_not_differ_with_it() -> None:
    """Neither by the number format in which the update comes to them, nor by what the scale is."""
    tail = "adapt normuon()\nscale SCALE\ndecay decoupled(0.1*scale)\n"
    a = HEAD + "orthogonalize newton_schulz()\n" + tail.replace("SCALE", "rows / cols")
    b = HEAD + "orthogonalize newton_schulz(dtype = fp32)\n" + tail.replace("SCALE", "cols / rows")
    assert stages_of(compared(a, b)) == {"orthogonalize", "scale"}


def test_two_words_for_one_tensor_are_no_difference() -> None:
    """The update that the first stage finds is the gradient, and before the decay the parameter is the previous one."""
    a = (
        HEAD
        + "momentum {\n  update <- 2*update\n}\nadapt signed()\ndecay {\n  parameter <- parameter - lr*parameter\n}\n"
    )
    b = (
        a.replace("2*update", "2*gradient")
        .replace("lr*parameter", "lr*previous")
        .replace("signed()", "row_normalized()")
    )
    assert stages_of(compared(a, b)) == {"adapt"}
    projected = a + "project {\n  parameter <- parameter / norm(parameter)\n}\n"
    assert stages_of(compared(projected, projected.replace("norm(parameter)", "norm(previous)"))) == {"project"}
    later = a.replace("signed()", "{\n  update <- sign(update)\n}")
    assert stages_of(compared(later, later.replace("sign(update)", "sign(gradient)"))) == {"adapt"}


def test_a_stage_that_has_no_value_at_the_defaults_is_compared_as_written() -> None:
    a = HEAD + "hyper momentum = 1 in [0, 1]\nmomentum {\n  update <- update / (1 - momentum)\n}\n"
    b = a.replace("1 - momentum", "1 - momentum**2")
    comparison = compared(a, b)
    (finding,) = comparison.findings
    assert (finding.stage, finding.aspect, finding.b) == ("momentum", "as written", "u ← u / (1 − μ^2)")
    (unlike, *_) = compared(a, b.replace("hyper momentum = 1", "hyper momentum = 0.5")).findings
    assert (unlike.aspect, unlike.a) == ("numbers", "not all: float division by zero")


def test_differences_that_only_the_program_shows_are_found() -> None:
    """A state that is kept in another format, and an order of hypers, change no number in float64."""
    a = HEAD + MOMENTUM + "momentum ema(momentum)\n"
    b = a.replace(
        "ema(momentum)",
        """{
  state momentum_buffer: bf16 = zeros
  momentum_buffer <- lerp(momentum_buffer, update, 1 - momentum)
  update <- momentum_buffer
}""",
    )
    assert next(each.aspect for each in compared(a, b).findings) == "states"
    lr, momentum = HEAD.splitlines()[1], MOMENTUM.strip()
    turned = a.replace(f"{lr}\n{momentum}", f"{momentum}\n{lr}")
    (finding,) = compared(a, turned).findings
    assert (finding.stage, finding.a, finding.b) == ("hypers", "lr, momentum", "momentum, lr")
