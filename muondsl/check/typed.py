"""The typed program: every name resolved, every rule inlined, every dimension known; loops still loops.

What `check` yields, `lower` unrolls, and the mathematics in generated docstrings is printed from.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, assert_never

from muondsl.diagnostics.diagnostic import Diagnostic
from muondsl.diagnostics.span import NOWHERE, Span
from muondsl.ir.scalar import ONE, Scalar, Symbol, symbols
from muondsl.ir.types import MATRIX, Axis, Dims, Format

if TYPE_CHECKING:
    from collections.abc import Iterator

Role = Literal["update", "gradient", "parameter", "previous", "state", "local"]
Reduction = Literal["sum", "mean", "norm", "max", "min"]


@dataclass(frozen=True, slots=True)
class Variable:
    """A tensor that has a name; `number` tells apart variables of one name."""

    name: str
    number: int
    role: Role
    dims: Dims
    is_mask: bool = False


UPDATE = Variable("update", 1, "update", MATRIX)
GRADIENT = Variable("gradient", 2, "gradient", MATRIX)
PARAMETER = Variable("parameter", 3, "parameter", MATRIX)
PREVIOUS = Variable("previous", 4, "previous", MATRIX)
AMBIENT = (UPDATE, GRADIENT, PARAMETER, PREVIOUS)
"""The tensors that exist everywhere; other variables are numbered behind them. `previous` is the parameter as the step
found it.
"""


@dataclass(frozen=True, slots=True)
class Read:
    variable: Variable

    @property
    def dims(self) -> Dims:
        return self.variable.dims

    @property
    def is_mask(self) -> bool:
        return self.variable.is_mask


@dataclass(frozen=True, slots=True)
class Elementwise:
    """A function applied to each element; operands broadcast, and may be scalars. `is_mask` marks conditions."""

    function: str
    operands: tuple[Tensor | Scalar, ...]
    dims: Dims
    is_mask: bool = False


@dataclass(frozen=True, slots=True)
class Product:
    left: Tensor
    right: Tensor
    dims: Dims


@dataclass(frozen=True, slots=True)
class Transposed:
    operand: Tensor
    dims: Dims


@dataclass(frozen=True, slots=True)
class Reduce:
    """`axis` is None where the whole tensor is reduced. Reduced dimensions become 1."""

    function: Reduction
    operand: Tensor
    axis: Axis | None
    dims: Dims


@dataclass(frozen=True, slots=True)
class Convert:
    """The operand in the number format of the `in` block around it."""

    operand: Tensor
    format: Format
    dims: Dims


@dataclass(frozen=True, slots=True)
class Choose:
    """One of two tensors, by a condition on scalars."""

    condition: Scalar
    then: Tensor
    otherwise: Tensor
    dims: Dims


@dataclass(frozen=True, slots=True)
class Whole:
    """A function of matrices as wholes: those of `ir.Whole`, and `quantile` and `oriented`."""

    function: str
    operands: tuple[Tensor | Scalar, ...]
    dims: Dims


Tensor = Read | Elementwise | Product | Transposed | Reduce | Convert | Choose | Whole


@dataclass(frozen=True, slots=True)
class Set:
    """Gives a variable a value."""

    variable: Variable
    value: Tensor
    span: Span = field(compare=False, default=NOWHERE)


@dataclass(frozen=True, slots=True)
class Loop:
    """The body once for each of `items`, with the loop's symbols standing for the numbers of the item."""

    symbols: tuple[Symbol, ...]
    items: tuple[tuple[Scalar, ...], ...]
    body: tuple[Statement, ...]
    span: Span = field(compare=False, default=NOWHERE)


Statement = Set | Loop


Initial = Literal["gradient", "parameter"] | Scalar


@dataclass(frozen=True, slots=True)
class State:
    """What is kept of a parameter from step to step; `format` is None where it is the parameter's."""

    variable: Variable
    format: Format | None
    initial: Initial
    shape: str
    span: Span = field(compare=False, default=NOWHERE)


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage with its statements; `heading` is the stage as the spec writes it."""

    name: str
    heading: str
    statements: tuple[Statement, ...]
    span: Span = field(compare=False, default=NOWHERE)


@dataclass(frozen=True, slots=True)
class Update:
    """All that happens to one parameter in a step: `parameter - lr * scale * update` is stored behind the stages, but
    before `project`.
    """

    stages: tuple[Stage, ...]
    states: tuple[State, ...]
    scale: Scalar


@dataclass(frozen=True, slots=True)
class Interval:
    """Where a hyper may lie. Ends are float64 and may be infinite."""

    lower: float
    upper: float
    lower_closed: bool
    upper_closed: bool

    def __contains__(self, value: float) -> bool:
        above = self.lower <= value if self.lower_closed else self.lower < value
        below = value <= self.upper if self.upper_closed else value < self.upper
        return above and below

    def __str__(self) -> str:
        left, right = "[" if self.lower_closed else "(", "]" if self.upper_closed else ")"
        return f"{left}{self.lower:g}, {self.upper:g}{right}"


EVERYWHERE = Interval(float("-inf"), float("inf"), False, False)


@dataclass(frozen=True, slots=True)
class Hyper:
    """A live entry of the parameter groups. `default` is one number as written, or several for a tuple."""

    name: str
    default: str | tuple[str, ...]
    interval: Interval
    span: Span = field(compare=False, default=NOWHERE)


@dataclass(frozen=True, slots=True)
class Route:
    """Which parameters take a route: a condition on `ndim`, `rows`, `cols`, `numel`, name and role; None is `rest`."""

    target: str
    condition: Scalar | None


@dataclass(frozen=True, slots=True)
class View:
    """Which parameters hold other matrices than they are stored as; `steps` are as `muondsl.runtime` reads them."""

    steps: str
    condition: Scalar


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What the groups of another class's checkpoint must hold for its state to be ours."""

    system: str
    entries: tuple[tuple[str, object], ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A constant that is a list of equally long lists of numbers, such as the coefficients of polynomials."""

    name: str
    source: str | None
    rows: tuple[tuple[Scalar, ...], ...]


@dataclass(frozen=True, slots=True)
class CheckedSpec:
    """A spec that means something: the identity of an optimizer. `constants` are those used that name a source,
    `tables` those used that are tables, whether they name a source or not. One of `matrix` and `otherwise` is None at
    most: the optimizer takes the other route alone.
    """

    name: str
    docstring: str
    citations: tuple[str, ...]
    hypers: tuple[Hyper, ...]
    constants: tuple[tuple[str, str], ...]
    matrix: Update | None
    otherwise: Update | None
    overrides: tuple[tuple[str, str | tuple[str, ...]], ...]
    routes: tuple[Route, ...]
    views: tuple[View, ...]
    checkpoints: tuple[Checkpoint, ...]
    tables: tuple[Table, ...] = ()
    warnings: tuple[Diagnostic, ...] = field(compare=False, default=())
    span: Span = field(compare=False, default=NOWHERE)

    @property
    def of_matrices(self) -> Update:
        """What happens to matrices; nothing where the spec takes none."""
        return self.matrix or Update((), (), ONE)


def scalars(update: Update) -> Iterator[Scalar]:
    """Every scalar that an update computes with, once for each place."""
    yield update.scale
    for stage in update.stages:
        for statement in stage.statements:
            yield from scalars_of_statement(statement)


def hypers_read(update: Update) -> Iterator[str]:
    """The hypers that the stages of an update read, once for each place."""
    for part in scalars(update):
        yield from (symbol.name for symbol in symbols(part) if symbol.kind == "hyper")


def scalars_of_statement(statement: Statement) -> Iterator[Scalar]:
    """Every scalar that a statement computes with, those of a loop's body among them."""
    if isinstance(statement, Loop):
        for inner in statement.body:
            yield from scalars_of_statement(inner)
    else:
        yield from _scalars_of_tensor(statement.value)


def _scalars_of_tensor(tensor: Tensor) -> Iterator[Scalar]:
    for part in walk(tensor):
        if isinstance(part, Elementwise | Whole):
            yield from (operand for operand in part.operands if isinstance(operand, Scalar))
        elif isinstance(part, Choose):
            yield part.condition


def walk(tensor: Tensor) -> Iterator[Tensor]:
    """The tensor and all tensors inside it, outermost first."""
    yield tensor
    for part in _inside(tensor):
        yield from walk(part)


def _inside(tensor: Tensor) -> tuple[Tensor, ...]:
    match tensor:
        case Read():
            return ()
        case Elementwise(_, operands) | Whole(_, operands):
            return tuple(operand for operand in operands if not isinstance(operand, Scalar))
        case Product(left, right) | Choose(_, left, right):
            return (left, right)
        case Transposed(operand) | Reduce(_, operand) | Convert(operand):
            return (operand,)
        case _:
            assert_never(tensor)
