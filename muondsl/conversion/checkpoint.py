"""A checkpoint without a layout: groups of parameters, each with states of its own, oriented as torch orients them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

HyperValues = dict[str, float | tuple[float, ...]]


@dataclass(frozen=True, eq=False)
class Member:
    """A parameter. `place` says where its states lie, in words; `states` are empty before its first step. `shape` is
    that of the parameter, where a state has it, `step` how many steps it took, where that was counted, and `master` the
    parameter itself in fp32, where the optimizer keeps it.
    """

    number: int
    place: str
    name: str | None = None
    states: Mapping[str, Tensor] = field(default_factory=dict)
    shape: tuple[int, ...] | None = None
    step: int | None = None
    master: Tensor | None = None

    @property
    def label(self) -> str:
        return f"parameter {self.number}" if self.name is None else f"parameter {self.number} ({self.name})"


@dataclass(frozen=True, eq=False)
class Group:
    """`entries` are hypers, and whatever else stood beside them, under torch's names. Of those in `scheduled` it is
    known that training changed them.
    """

    route: str
    entries: Mapping[str, object]
    members: tuple[Member, ...]
    scheduled: frozenset[str] = frozenset()


@dataclass(frozen=True, eq=False)
class Checkpoint:
    groups: tuple[Group, ...]
