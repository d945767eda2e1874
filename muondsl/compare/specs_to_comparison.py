"""Two checked specs in, their differences out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from muondsl.compare.compare_declarations import (
    compare_checkpoints,
    compare_hypers,
    compare_overrides,
    compare_routes,
    compare_scales,
    compare_views,
)
from muondsl.compare.compare_stages import compare_stages, differ
from muondsl.compare.finding import Comparison, Finding, Subject
from muondsl.compare.isolate import isolate_stages
from muondsl.compare.probe_values import NO_VALUE
from muondsl.compare.stage_facts import to_subject
from muondsl.lower import fingerprint
from muondsl.parse.ast import STAGES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from muondsl.check import CheckedSpec

OF_UPDATES = ("gradient", "momentum", "orthogonalize", "adapt", "project")
"""Stages whose differences are not told by themselves what they come to in a step."""


def compare(a: CheckedSpec, b: CheckedSpec) -> Comparison:
    """What tells two specs apart, whatever their names, rules and layout; nothing where their fingerprints are one but
    for the name.
    """
    identities = [fingerprint(replace(spec, name="")) for spec in (a, b)]
    findings = tuple(_findings(a, b)) if identities[0] != identities[1] else ()
    assert findings or identities[0] == identities[1]
    notes = [*_effect(a, b, findings), *compare_checkpoints(a, b)]
    return Comparison(_subject(a), _subject(b), findings, tuple(notes))


def _subject(spec: CheckedSpec) -> Subject:
    stages = [stage.name for stage in spec.of_matrices.stages]
    return Subject(
        spec.name, spec.span.source.name, fingerprint(spec), (*stages, *(["otherwise"] if spec.otherwise else []))
    )


def _findings(a: CheckedSpec, b: CheckedSpec) -> Iterator[Finding]:
    first, second = (
        # A scale by itself is no statement: it is a number.
        {name: to_subject(spec, one) for name, one in isolate_stages(spec).items() if one.stage.statements}
        for spec in (a, b)
    )
    for name in (*STAGES, "otherwise"):
        if name == "scale":
            yield from compare_scales(a, b)
        yield from compare_stages(name, first.get(name), second.get(name))
    yield from compare_overrides(a, b)
    yield from compare_hypers(a, b)
    yield from compare_routes(a, b)
    yield from compare_views(a, b)


def _effect(a: CheckedSpec, b: CheckedSpec, findings: tuple[Finding, ...]) -> Iterator[Finding]:
    """What the differences of stages come to, all together, if steps can be taken at the defaults."""
    if not any(finding.stage in OF_UPDATES for finding in findings):
        return
    from muondsl.compare.whole_step import whole_steps

    try:
        numbers = whole_steps(a, b)
    except NO_VALUE:
        return
    words = "" if differ(numbers) else "the same in float64, to seven digits"
    yield Finding("step", "root mean square of the movement over lr, at the defaults", words, words, numbers)
