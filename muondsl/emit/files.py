"""What `emit` yields, and what it needs to know beside the plan."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Header:
    """What the head of a generated file says: nothing that differs between machines or runs."""

    version: str
    source: str
    fingerprint: str
    numerics: str
    precision: str


@dataclass(frozen=True, slots=True)
class GeneratedFile:
    """A file that is written or compared as a whole. `name` has no directory."""

    name: str
    text: str
