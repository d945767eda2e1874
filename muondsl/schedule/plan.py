"""The plan: what an emitter prints. Which work shares a kernel, which buffer holds each value, what the host computes.

Data only. `ir_to_plan.py` decides; the printers of `emit` decide nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from muondsl.ir import program as ir
from muondsl.ir.scalar import Scalar


@dataclass(frozen=True, slots=True)
class HostScalar:
    """A scalar that the host computes once before the kernels of a step, under a name."""

    name: str
    scalar: Scalar


@dataclass(frozen=True, slots=True)
class Inline:
    """Printed inside its only reader; has no buffer."""


@dataclass(frozen=True, slots=True)
class Fresh:
    """A buffer of its own."""


@dataclass(frozen=True, slots=True)
class View:
    """The same memory as `of`, or perhaps a copy: never written to while the other is needed."""

    of: ir.Value


@dataclass(frozen=True, slots=True)
class InPlace:
    """Written over `of`, which nothing reads afterwards."""

    of: ir.Value


Placement = Inline | Fresh | View | InPlace


@dataclass(frozen=True, slots=True)
class Assignment:
    """A definition with the place and the Python name of its value."""

    definition: ir.Definition
    placement: Placement
    name: str


KernelKind = Literal["elementwise", "product", "whole"]


@dataclass(frozen=True, slots=True)
class Kernel:
    """One launch: elementwise work with its reductions, one matrix product, or one function of a library. `reads` and
    `writes` are values.
    """

    kind: KernelKind
    assignments: tuple[Assignment, ...]
    reads: tuple[ir.Value, ...]
    writes: tuple[ir.Value, ...]


@dataclass(frozen=True, slots=True)
class Copy:
    """At the end of the step, a value whose buffer is not the target's own is copied there."""

    target: str
    value: ir.Value


@dataclass(frozen=True, slots=True)
class UpdatePlan:
    """One step of one route."""

    program: ir.Program
    host: tuple[HostScalar, ...]
    kernels: tuple[Kernel, ...]
    copies: tuple[Copy, ...]

    def assignment(self, value: ir.Value) -> Assignment:
        return next(
            assignment
            for kernel in self.kernels
            for assignment in kernel.assignments
            if assignment.definition.value == value
        )


@dataclass(frozen=True, slots=True)
class Plan:
    matrix: UpdatePlan | None
    otherwise: UpdatePlan | None

    def updates(self) -> tuple[UpdatePlan, ...]:
        return tuple(update for update in (self.matrix, self.otherwise) if update)
