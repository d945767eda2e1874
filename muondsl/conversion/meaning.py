"""What a spec says of the states in a checkpoint: its class, and the programs that change them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from muondsl.conversion.program_to_unit import symbols_of
from muondsl.interface import load, pipeline
from muondsl.pipeline import Options

if TYPE_CHECKING:
    from muondsl.conversion.checkpoint import HyperValues
    from muondsl.ir.program import Program
    from muondsl.runtime import SpecOptimizer, State


@dataclass(frozen=True, eq=False)
class Meaning:
    """A spec's class and, for each route, its program as the spec writes it."""

    optimizer: type[SpecOptimizer]
    programs: Mapping[str, Program]

    @property
    def name(self) -> str:
        return self.optimizer.__name__

    def states(self, route: str) -> tuple[State, ...]:
        return self.optimizer.states.get(route, ())

    @property
    def hyper_names(self) -> frozenset[str]:
        return frozenset(hyper.name for hyper in self.optimizer.hypers)

    def hypers_read(self, route: str) -> frozenset[str]:
        """The hypers that a step of the route computes with."""
        found = symbols_of(self.programs[route]) if route in self.programs else ()
        return frozenset(symbol.name for symbol in found if symbol.kind == "hyper")

    def counts_steps(self, route: str) -> bool:
        return route in self.optimizer.counts_steps

    def new_group(self, route: str) -> dict[str, Any]:
        """The hypers of a group to which the user gives none."""
        make: Any = self.optimizer
        group = make([{"params": [], "route": route}]).param_groups[0]
        return {hyper.name: group[hyper.name] for hyper in self.optimizer.hypers}

    def hypers(self, route: str, entries: Mapping[str, object]) -> HyperValues:
        """The numbers that a step of a group with these entries computes with. Raises ValueError for one that is none,
        or is outside of its range.
        """
        values: HyperValues = {}
        new = self.new_group(route)
        for hyper in self.optimizer.hypers:
            value = entries.get(hyper.name, new[hyper.name])
            hyper.check(value)
            values[hyper.name] = hyper.number(value)
        return values


def read_meaning(spec: str | Path) -> Meaning:
    """The meaning of a spec, a path or text. Raises SpecError."""
    stages = pipeline(spec, Options())
    programs: dict[str, Program] = {program.route: program for program in stages.program().programs()}
    return Meaning(load(spec), programs)


def plain(value: object) -> object:
    """A value of a group as Python's own: a tensor of one element is a number, a list a tuple."""
    if isinstance(value, list | tuple):
        return tuple(plain(each) for each in value)
    return value.item() if isinstance(value, Tensor) and value.numel() == 1 else value
