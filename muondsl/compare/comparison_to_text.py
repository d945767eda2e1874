"""A comparison as plain text of 120 columns."""

from __future__ import annotations

import math
from textwrap import wrap
from typing import TYPE_CHECKING

from muondsl.compare.finding import Comparison, Factor, Finding, Number

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

WIDTH = 120
CELL = 11
REMARKS = {"step": "with all differences together", "checkpoints": "which do not make two specs different"}
LEGEND = (
    "η lr, μ momentum, λ weight_decay, κ scale, t step; θ parameter, g gradient, u update, m and v states; "
    "r rows, c columns"
)
MEASURED = "Measured in float64 at the defaults of each spec; of a stage, with 0.1 for those that are 0."


def to_text(comparison: Comparison) -> str:
    lines = [*_subjects(comparison), "", *wrap(_summary(comparison), WIDTH)]
    for title in dict.fromkeys(finding.stage for finding in comparison.findings):
        lines += ["", title]
        lines += [line for each in comparison.findings if each.stage == title for line in _finding(each)]
    for note in comparison.notes:
        lines += ["", f"{note.stage}, {REMARKS[note.stage]}", *_finding(note)]
    if comparison.findings:
        lines += ["", *wrap(LEGEND, WIDTH), *wrap(MEASURED, WIDTH)]
    return "\n".join(lines)


def _subjects(comparison: Comparison) -> Iterator[str]:
    both = (comparison.a, comparison.b)
    widths = [
        max(len(cell) for cell in cells) for cells in ([each.name for each in both], [each.file for each in both])
    ]
    for letter, each in zip("AB", both, strict=True):
        yield f"{letter}  {each.name:<{widths[0]}}  {each.file:<{widths[1]}}  {each.fingerprint[:23]}"


def _summary(comparison: Comparison) -> str:
    a, b = comparison.a, comparison.b
    if comparison.is_same:
        return "The same but for the name: one program, and one state." if a.name != b.name else "The same."
    different = {finding.stage for finding in comparison.findings}
    both = [stage for stage in a.stages if stage in b.stages]
    same = [stage for stage in both if stage not in different]
    sentences = [f"The same in both: {', '.join(same)}."] if same else []
    if not both:
        sentences.append("They have no stage in common.")
    for letter, one, other in (("A", a, b), ("B", b, a)):
        alone = [stage for stage in one.stages if stage not in other.stages]
        sentences += [f"Only {letter} has {', '.join(alone)}."] if alone else []
    return " ".join(sentences) or "They have the same stages, and all of them differ."


def _finding(finding: Finding) -> Iterator[str]:
    yield from wrap(finding.aspect, WIDTH, initial_indent="  ", subsequent_indent="      ")
    if finding.a == finding.b:
        yield from _words("   ", finding.a or "")
    else:
        yield from _words("A  ", "none" if finding.a is None else finding.a)
        yield from _words("B  ", "none" if finding.b is None else finding.b)
    if finding.numbers:
        yield from _table(finding.numbers)
    if finding.factor:
        yield "    " + _factor(finding.factor)


def _words(mark: str, text: str) -> Iterator[str]:
    """The lines, the first behind the mark; nothing where there are no words beside numbers."""
    indent = "    " + mark
    for line in text.split("\n") if text else ():
        yield from wrap(line, WIDTH, initial_indent=indent, subsequent_indent="         ", break_long_words=False)
        indent = "       "


def _table(numbers: Sequence[Number]) -> Iterator[str]:
    has_cosine = any(each.cosine is not None for each in numbers)
    is_paired = any(each.a is not None and each.b is not None for each in numbers)
    headings = ["A", "B", *(["B/A"] if is_paired else []), *(["cosine"] if has_cosine else [])]
    label = max(len(each.label) for each in numbers)
    yield "    " + " " * label + "".join(f"{heading:>{CELL}}" for heading in headings)
    for each in numbers:
        cells = [_number(each.a), _number(each.b), *([_ratio(each)] if is_paired else [])]
        cells += [f"{each.cosine:.6f}" if each.cosine is not None else ""] if has_cosine else []
        yield ("    " + f"{each.label:<{label}}" + "".join(f"{cell:>{CELL}}" for cell in cells)).rstrip()


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.5g}" if math.isfinite(value) else {math.inf: "∞", -math.inf: "−∞"}.get(value, "NaN")


def _ratio(number: Number) -> str:
    if number.a is None or number.b is None or not number.a or not math.isfinite(number.a + number.b):
        return ""
    return f"{number.b / number.a:.5g}"


def _factor(factor: Factor) -> str:
    smaller = "A" if factor.larger == "B" else "B"
    formula = f": {factor.formula}" if factor.formula else ""
    return f"{factor.larger}'s is always {factor.value:.6g} times {smaller}'s{formula}"
