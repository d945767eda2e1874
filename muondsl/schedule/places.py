"""Which tensors hold which values while launches are planned: buffers, states, the parameter and its gradient."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from muondsl.ir import program as ir
from muondsl.ir.types import COLS, MATRIX, ROWS, SHORT, Dims, DType
from muondsl.schedule.launches import Buffer

if TYPE_CHECKING:
    from muondsl.schedule.name_launches import Names

FP32 = DType("fp32")
ORIENTED = MATRIX.oriented
SQUARES = tuple(Dims(side, side) for side in (ROWS, COLS, SHORT))
FORMS = (MATRIX, ORIENTED, *SQUARES)
"""How matrices lie in memory. One of the transposed dimensions is kept as its transpose."""


def form_of(dims: Dims) -> Dims:
    """The dimensions of the buffer of a value; those of its transpose where a matrix has its columns as rows."""
    return dims.transposed if dims.transposed in (MATRIX, ORIENTED) else dims


def is_square(dims: Dims) -> bool:
    """Whether the dimensions are one, so that a matrix and its transpose have the same."""
    return dims.is_matrix and dims.row == dims.col


def is_uniform(dims: Dims) -> bool:
    """Whether a value is a number, a vector or a matrix whichever side of the parameter is longer."""
    return dims.is_number or dims.is_vector or dims.is_matrix


@dataclass
class Places:
    """Where values are; `buffers` are those that the plan has so far."""

    program: ir.Program
    names: Names
    buffers: list[Buffer] = field(default_factory=list)
    held: dict[ir.Value, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.table = self.program.table()
        inputs = [(each.operation, each.value) for each in self.program.definitions]
        self.inputs = {operation.name: value for operation, value in inputs if isinstance(operation, ir.Input)}
        """The values of states, parameter and gradient as the step finds them."""
        for name, value in self.inputs.items():
            self.held[value] = [name]

    def of(self, value: ir.Value) -> str | None:
        """A tensor that holds the value."""
        return next(iter(self.held.get(value, ())), None)

    def buffer_of(self, value: ir.Value, form: Dims) -> str | None:
        """A buffer that holds the value in a form."""
        forms = {buffer.name: buffer.dims for buffer in self.buffers}
        return next((name for name in self.held.get(value, ()) if forms.get(name) == form), None)

    def put(self, value: ir.Value, tensor: str) -> None:
        """Notes that the tensor holds the value, and no other any more."""
        self.forget(tensor)
        self.held.setdefault(value, []).append(tensor)

    def forget(self, tensor: str) -> None:
        """Notes that what the tensor held is gone from it."""
        for tensors in self.held.values():
            if tensor in tensors:
                tensors.remove(tensor)

    def new_buffer(self, definition: ir.Definition, form: Dims | None = None) -> str:
        dims = form or form_of(definition.type.dims)
        name = self.names.buffer(definition)
        dtype = definition.type.dtype if dims.is_matrix else FP32
        self.buffers.append(Buffer(name, definition.value, dims, dtype))
        return name

    def new_parts(self, definition: ir.Definition, reduction: ir.Reduce) -> str:
        """A buffer for the partial results of a reduction."""
        name = self.names.parts(definition)
        operand = self.table[reduction.operand]
        self.buffers.append(Buffer(name, definition.value, operand.type.dims, definition.type.dtype, reduction))
        return name

    def behind(self, value: ir.Value) -> tuple[ir.Value, bool]:
        """What a value is a view of, and whether transposed an odd number of times on the way."""
        operation = self.table[value].operation
        if not isinstance(operation, ir.Transpose | ir.Orient):
            return value, False
        base, is_transposed = self.behind(operation.operand)
        return base, is_transposed != isinstance(operation, ir.Transpose)
