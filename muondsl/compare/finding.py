"""What a comparison finds, as data: A and B are the two specs in the order given."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Side = Literal["A", "B"]


@dataclass(frozen=True, slots=True)
class Number:
    """One quantity of both specs, None where a spec has none.

    Where the quantity is the root mean square of a tensor, `cosine` is that of the angle between A's and B's.
    """

    label: str
    a: float | None
    b: float | None
    cosine: float | None = None

    def swapped(self) -> Number:
        return replace(self, a=self.b, b=self.a)


@dataclass(frozen=True, slots=True)
class Factor:
    """One spec's result is `value` times the other's whatever comes in; `formula` says the same in hypers, if one is
    known.
    """

    larger: Side
    value: float
    formula: str | None

    def swapped(self) -> Factor:
        return replace(self, larger="B" if self.larger == "A" else "A")


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference: where, in which respect, and what there is in A and in B, None where there is nothing.

    `a` and `b` may have several lines; only those that differ are in them.
    """

    stage: str
    aspect: str
    a: str | None
    b: str | None
    numbers: tuple[Number, ...] = ()
    factor: Factor | None = None

    def swapped(self) -> Finding:
        factor = self.factor.swapped() if self.factor else None
        return replace(self, a=self.b, b=self.a, numbers=tuple(each.swapped() for each in self.numbers), factor=factor)


@dataclass(frozen=True, slots=True)
class Subject:
    """One of the specs: the name of the optimizer, its file, its fingerprint, and the stages that it has."""

    name: str
    file: str
    fingerprint: str
    stages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two specs and all differences between them.

    `notes` are differences that no fingerprint holds, because they do not change what a step computes.
    """

    a: Subject
    b: Subject
    findings: tuple[Finding, ...]
    notes: tuple[Finding, ...] = ()

    @property
    def is_same(self) -> bool:
        return not self.findings

    def swapped(self) -> Comparison:
        findings, notes = (tuple(each.swapped() for each in group) for group in (self.findings, self.notes))
        return Comparison(self.b, self.a, findings, notes)
