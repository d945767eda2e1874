"""Two stages of one name in, their differences out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from muondsl.compare.fact import differences, is_near
from muondsl.compare.finding import Factor, Finding, Number
from muondsl.compare.linear_facts import WEIGHTS, constant_factor, has_equal_weights
from muondsl.compare.parameter_facts import is_factor
from muondsl.compare.probe_values import NO_VALUE
from muondsl.compare.reads import is_changed
from muondsl.compare.stage_facts import AS_IT_COMES, UNMEASURED, Subject, stage_facts, written_facts
from muondsl.compare.written import formulas, nameless_text, program_text, unlike

if TYPE_CHECKING:
    from collections.abc import Iterator

WRITTEN = "as written"
EQUAL = "as written, with the same results wherever they are measured"


def compare_stages(name: str, a: Subject | None, b: Subject | None) -> list[Finding]:
    """What tells the stages apart; nothing where they are one program."""
    if a is None or b is None:
        return _one_sided(name, a, b)
    if program_text(a.isolated) == program_text(b.isolated):
        return []
    facts = [*stage_facts(a)], [*stage_facts(b)]
    found = differences(name, *facts)
    if nameless_text(a.isolated) == nameless_text(b.isolated):
        return found
    is_measured = all(fact.aspect != UNMEASURED for each in facts for fact in each)
    paired = _paired(name, a, b) if is_measured else None
    measured = [*_proportional(found, a, b), *(paired or [])]
    is_equal = not found and paired == [] and _has_equal_weights(a, b)
    return [*measured, *_written(name, a, b, EQUAL if is_equal else WRITTEN, is_enough=bool(measured))]


def _one_sided(name: str, a: Subject | None, b: Subject | None) -> list[Finding]:
    """The stage that one spec has, in words: there is nothing to hold its numbers against."""
    lines = ["\n".join(formulas(each.isolated)) if each else None for each in (a, b)]
    read = written_facts if name == "otherwise" else stage_facts
    facts = [[fact for fact in read(each) if fact.words not in ("", AS_IT_COMES)] if each else [] for each in (a, b)]
    return [Finding(name, "the stage", lines[0], lines[1]), *differences(name, *facts)] if a or b else []


def _written(name: str, a: Subject, b: Subject, aspect: str, *, is_enough: bool) -> Iterator[Finding]:
    """The formulas that differ; where none does, and nothing else tells the stages apart, the operations."""
    only_a, only_b = unlike(formulas(a.isolated), formulas(b.isolated))
    if not only_a and not only_b and not is_enough:
        texts = (program_text(each.isolated).splitlines() for each in (a, b))
        only_a, only_b = unlike(*texts)
    if only_a or only_b:
        yield Finding(name, aspect, "\n".join(only_a) or None, "\n".join(only_b) or None)


def _proportional(found: list[Finding], a: Subject, b: Subject) -> Iterator[Finding]:
    """The findings; those of weights with the factor between them, if it is one factor."""
    for each in found:
        yield replace(each, factor=_factor(a, b)) if each.aspect == WEIGHTS else each


def _factor(a: Subject, b: Subject) -> Factor | None:
    first, second = a.recurrence(), b.recurrence()
    try:
        return constant_factor(first, second, a.hypers, b.hypers) if first and second else None
    except NO_VALUE:
        return None


def _has_equal_weights(a: Subject, b: Subject) -> bool:
    """Whether the stages have the same weights for longer than is shown; true of those that have none."""
    first, second = a.recurrence(), b.recurrence()
    try:
        return not first or not second or has_equal_weights(first, second, a.hypers, b.hypers)
    except NO_VALUE:
        return False


def _paired(name: str, a: Subject, b: Subject) -> list[Finding] | None:
    """What both make of the same input, unless it is the same, or told already: by the weights where both are linear,
    by the part taken away where both shrink all elements alike. None where there is a step that has no value.
    """
    is_update = _is_changed("update", a, b) and not (a.recurrence() and b.recurrence())
    is_parameter = _is_changed("parameter", a, b) and not (is_factor(a.isolated) and is_factor(b.isolated))
    if not is_update and not is_parameter:
        return []
    from muondsl.compare.nonlinear_facts import paired_numbers
    from muondsl.compare.projection_facts import paired_parameters
    from muondsl.compare.respond import to_responder

    responders = to_responder(a.isolated, a.fast_hypers), to_responder(b.isolated, b.fast_hypers)
    try:
        measured = {
            "the result, for the same updates": paired_numbers(*responders) if is_update else (),
            "the parameter, for the same parameters": paired_parameters(*responders) if is_parameter else (),
        }
    except NO_VALUE:
        return None
    return [
        Finding(name, f"root mean square of {what}", "", "", numbers)
        for what, numbers in measured.items()
        if differ(numbers)
    ]


def _is_changed(target: str, a: Subject, b: Subject) -> bool:
    return any(is_changed(each.isolated, target) for each in (a, b))


def differ(numbers: tuple[Number, ...]) -> bool:
    return any(not _is_near(each.a, each.b) or not _is_near(each.cosine, 1.0) for each in numbers)


def _is_near(x: float | None, y: float | None) -> bool:
    return x is not None and y is not None and is_near(x, y)
