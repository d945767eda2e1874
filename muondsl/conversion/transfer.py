"""What a conversion does to the states of a group's parameters, and what was asked of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from muondsl.conversion.unit import UNCHANGED, Factor

if TYPE_CHECKING:
    from muondsl.conversion.checkpoint import HyperValues
    from muondsl.ir.program import Program
    from muondsl.runtime import State


@dataclass(frozen=True, slots=True)
class Choices:
    """What the user says. `momentum`: the μ that held while the buffers were filled; `step`: how many steps were taken,
    where the checkpoint does not count them; `drop`: states or routes that may be lost; `fresh`: states or routes that
    begin anew; `as_is`: states that are taken over though they mean something else; `hypers`: entries of the groups.
    """

    momentum: float | None = None
    step: int | None = None
    drop: frozenset[str] = frozenset()
    fresh: frozenset[str] = frozenset()
    as_is: frozenset[str] = frozenset()
    hypers: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Side:
    """One end of a conversion for the parameters of one group: what changes their states, and with which numbers."""

    name: str
    program: Program
    states: tuple[State, ...]
    counts_steps: bool
    hypers: HyperValues

    def state(self, name: str) -> State:
        return next(state for state in self.states if state.name == name)


@dataclass(frozen=True, slots=True)
class Transfer:
    """Where a state of the target comes from; without a source it begins anew. `is_given` marks what holds on the
    user's word alone.
    """

    target: str
    source: str | None
    factor: Factor = UNCHANGED
    is_given: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a state cannot be had, and how to go on."""

    problem: str
    help: str
