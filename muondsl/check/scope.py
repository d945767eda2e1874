"""Names in reach at a place, what they stand for, and whether anybody read them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from muondsl.check import typed
from muondsl.check.values import NumberFormat, Value
from muondsl.ir import scalar
from muondsl.ir.types import FORMATS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from muondsl.diagnostics.span import Span


@dataclass
class Binding:
    """`value` is None where the declaration had an error, so that its uses are not reported again."""

    kind: str
    value: Value | typed.Variable | None
    span: Span
    is_read: bool = False


@dataclass
class Scope:
    """Bindings, and those of the scope around it."""

    around: Scope | None = None
    bindings: dict[str, Binding] = field(default_factory=dict)

    def find(self, name: str) -> Binding | None:
        if name in self.bindings:
            return self.bindings[name]
        return self.around.find(name) if self.around else None

    def names(self) -> Iterator[str]:
        yield from self.bindings
        if self.around:
            yield from self.around.names()


SHAPE_NAMES = {
    "rows": scalar.Symbol("rows", "shape"),
    "cols": scalar.Symbol("cols", "shape"),
    "fan_in": scalar.Symbol("cols", "shape"),
    "fan_out": scalar.Symbol("rows", "shape"),
    "numel": scalar.Symbol("numel", "shape"),
}
"""Weights are stored [out, in]: rows are outputs, columns inputs."""

STEP = scalar.Symbol("step", "step")
AMBIENT_TENSORS = tuple(variable.name for variable in typed.AMBIENT)

BUILT_IN: dict[str, Value] = {
    **SHAPE_NAMES,
    "step": STEP,
    "true": scalar.Flag(True),
    "false": scalar.Flag(False),
    **{name: NumberFormat(name) for name in FORMATS},
}
