"""The tensor program: what one step does to one parameter, as definitions in order, each of one value.

Values are named by strings that are unique in a program; `verify.py` says what makes a program valid, `printer.py`
prints it, `interpreter.py` gives it its meaning.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from muondsl.ir.scalar import Number, Scalar
from muondsl.ir.types import Axis, Format, Type

if TYPE_CHECKING:
    from collections.abc import Iterator

Value = str
Route = Literal["matrix", "otherwise"]


@dataclass(frozen=True, slots=True)
class Input:
    """The parameter, its gradient, or a state as the step finds it."""

    role: Literal["parameter", "gradient", "state"]
    name: str


@dataclass(frozen=True, slots=True)
class Convert:
    """The operand rounded to the number format of the definition."""

    operand: Value


@dataclass(frozen=True, slots=True)
class Map:
    """A function of elements; operands broadcast. Rounded once, to the format of the definition.

    Functions: those of `scalar.FUNCTIONS`; `-` of one or two operands; `if`; `full`, a scalar repeated to the shape
    of the second operand; `add_scaled`, a + s·b with a scalar s, rounded once; `copy`, the operand in new memory.
    """

    function: str
    operands: tuple[Value | Scalar, ...]


@dataclass(frozen=True, slots=True)
class Reduce:
    """Sum, mean, max, min or Frobenius norm over an axis, or over everything where it is None. Accumulates in fp32
    at least; reduced dimensions become 1.
    """

    function: str
    operand: Value
    axis: Axis | None


@dataclass(frozen=True, slots=True)
class MatMul:
    """The matrix product, accumulated in fp32 at least."""

    left: Value
    right: Value


@dataclass(frozen=True, slots=True)
class Gemm:
    """alpha·(left @ right) + beta·addend as one operation that rounds once."""

    alpha: Scalar
    left: Value
    right: Value
    beta: Scalar
    addend: Value


@dataclass(frozen=True, slots=True)
class Quintic:
    """x ← a·x + (b·s + c·s·s)·x with s = x·xᵀ, from operand / divisor, once for each (a, b, c). Every s, sum of its
    powers, and x is rounded once. No divisor is one.
    """

    operand: Value
    divisor: Value | None
    coefficients: tuple[tuple[Number, Number, Number], ...]


@dataclass(frozen=True, slots=True)
class Whole:
    """A function of matrices as wholes, which a library of linear algebra computes.

    Functions: `identity` of a square matrix's shape; `trace`; `solve_lower` of t and x, T⁻¹x with the lower triangle
    T of t; `kth_value` of x and a whole number, counted from one; `svd`, of which `svd_left`, `svd_values` and
    `svd_right` take the parts: only these read it, and it has no other meaning as a value.
    """

    function: str
    operands: tuple[Value | Scalar, ...]


@dataclass(frozen=True, slots=True)
class Transpose:
    operand: Value


@dataclass(frozen=True, slots=True)
class Orient:
    """The operand, transposed where the parameter has more rows than columns. Its own inverse."""

    operand: Value


@dataclass(frozen=True, slots=True)
class Choose:
    """One of two values, by a condition on scalars."""

    condition: Scalar
    then: Value
    otherwise: Value


Operation = Input | Convert | Map | Reduce | MatMul | Gemm | Quintic | Whole | Transpose | Orient | Choose


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a definition comes from: a stage of the spec, a place in a source, and the iteration of a loop."""

    stage: str
    place: str
    loop: int | None = None
    iteration: int = 0

    @property
    def rule(self) -> str:
        """`nesterov` for `momentum nesterov(beta = momentum)`; the stage's own name where no rule is named."""
        match = re.match(r"(\w+) ([A-Za-z_]\w*)(?:\(|$)", self.stage)
        return match.group(2) if match and match.group(1) != "scale" else self.stage.split()[0]


@dataclass(frozen=True, slots=True)
class Definition:
    """`name` is the spec's own name for the value, or None for the inside of an expression."""

    value: Value
    operation: Operation
    type: Type
    origin: Origin
    name: str | None = None


@dataclass(frozen=True, slots=True)
class State:
    """`format` is None where the state has the parameter's; `initial` is what the first step finds."""

    name: str
    type: Type
    shape: str
    format: Format | None
    initial: Literal["gradient", "parameter"] | Scalar


@dataclass(frozen=True, slots=True)
class Result:
    """What is stored at the end of the step: `target` is `parameter` or the name of a state."""

    target: str
    value: Value


@dataclass(frozen=True, slots=True)
class Program:
    """One step of one route, `matrix` or `otherwise`."""

    route: Route
    definitions: tuple[Definition, ...]
    states: tuple[State, ...]
    results: tuple[Result, ...]

    def definition(self, value: Value) -> Definition:
        return next(definition for definition in self.definitions if definition.value == value)

    def table(self) -> dict[Value, Definition]:
        return {definition.value: definition for definition in self.definitions}


@dataclass(frozen=True, slots=True)
class Step:
    """The programs of an optimizer: what a step does to matrices, and to the parameters that are none."""

    matrix: Program | None
    otherwise: Program | None

    def programs(self) -> tuple[Program, ...]:
        return tuple(program for program in (self.matrix, self.otherwise) if program)


def operands(operation: Operation) -> tuple[Value, ...]:
    """The values that an operation reads, in order."""
    match operation:
        case Input():
            return ()
        case Map(_, parts) | Whole(_, parts):
            return tuple(part for part in parts if isinstance(part, str))
        case MatMul(left, right):
            return (left, right)
        case Gemm(_, left, right, _, addend):
            return (left, right, addend)
        case Quintic(operand, divisor, _):
            return (operand, divisor) if divisor else (operand,)
        case Choose(_, then, otherwise):
            return (then, otherwise)
        case _:
            return (operation.operand,)


def scalars(operation: Operation) -> tuple[Scalar, ...]:
    """The scalars that an operation reads, in order."""
    match operation:
        case Map(_, parts) | Whole(_, parts):
            return tuple(part for part in parts if not isinstance(part, str))
        case Gemm(alpha, _, _, beta, _):
            return (alpha, beta)
        case Choose(condition, _, _):
            return (condition,)
        case _:
            return ()


def uses(program: Program) -> dict[Value, int]:
    """How often each value is read, by definitions and results."""
    counts = {definition.value: 0 for definition in program.definitions}
    for value in _reads(program):
        counts[value] += 1
    return counts


def _reads(program: Program) -> Iterator[Value]:
    for definition in program.definitions:
        yield from operands(definition.operation)
    for result in program.results:
        yield result.value
