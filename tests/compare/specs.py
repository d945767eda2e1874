"""Small specs to compare, and the findings among which a test looks for one."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from muondsl.compare import Comparison, Finding, compare
from muondsl.interface import pipeline
from muondsl.pipeline import Options

if TYPE_CHECKING:
    from pathlib import Path

    from muondsl.check import CheckedSpec

HEAD = "optimizer Probe\nhyper lr = 0.1 in [0, inf)\n"
MOMENTUM = "hyper momentum = 0.9 in [0, 1)\n"


@cache
def checked(spec: str | Path) -> CheckedSpec:
    """The spec of a file, or of text, which has a line end in it."""
    return pipeline(spec, Options()).checked()


@cache
def compared(a: str | Path, b: str | Path) -> Comparison:
    return compare(checked(a), checked(b))


def stages_of(comparison: Comparison) -> set[str]:
    return {finding.stage for finding in comparison.findings}


def found(comparison: Comparison, stage: str, aspect: str) -> Finding:
    """The one finding of a stage that is about `aspect`."""
    matching = [each for each in comparison.findings if each.stage == stage and each.aspect == aspect]
    assert len(matching) == 1, [(each.stage, each.aspect) for each in comparison.findings]
    return matching[0]


def numbers(finding: Finding) -> dict[str, tuple[float | None, float | None]]:
    return {each.label: (each.a, each.b) for each in finding.numbers}
