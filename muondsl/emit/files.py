"""What `emit` yields, and what it needs to know beside the plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Header:
    """What the head of a generated file says: nothing that differs between machines or runs."""

    version: str
    source: str
    fingerprint: str
    numerics: str
    precision: str


@dataclass(frozen=True, slots=True)
class Provenance:
    """What a statement of a generated function is there for: a stage as the spec writes it, and in it a formula with
    its place, or what is said of a statement that is no formula of the spec.
    """

    stage: str
    text: str
    place: str = ""


@dataclass(frozen=True, slots=True)
class GeneratedFile:
    """A file that is written or compared as a whole. `name` has no directory. `provenance` are, by the name of each
    function that updates a parameter, its last statements, those of loops one by one.
    """

    name: str
    text: str
    provenance: Mapping[str, tuple[Provenance, ...]] = field(default_factory=dict, compare=False)
