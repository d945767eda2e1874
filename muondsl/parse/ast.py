"""The tree: what `parse` yields, `format` prints and `check` reads. Frozen; places do not count in comparisons."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

from muondsl.diagnostics.span import NOWHERE, Span

if TYPE_CHECKING:
    from collections.abc import Iterator

STAGES = ("gradient", "momentum", "orthogonalize", "adapt", "scale", "decay", "project")
"""The stages in the order in which they run."""


@dataclass(frozen=True, slots=True)
class Node:
    span: Span = field(default=NOWHERE, compare=False, repr=False, kw_only=True)


# Expressions


@dataclass(frozen=True, slots=True)
class Number(Node):
    """A literal, kept as written: `3.4445`, `2e-4`."""

    text: str


@dataclass(frozen=True, slots=True)
class Name(Node):
    identifier: str


@dataclass(frozen=True, slots=True)
class Text(Node):
    value: str


@dataclass(frozen=True, slots=True)
class Unary(Node):
    """`operator` is `-` or `not`."""

    operator: str
    operand: Expression


@dataclass(frozen=True, slots=True)
class Binary(Node):
    """`operator` is one of `+ - * / @ ** < <= > >= == != and or`."""

    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Transpose(Node):
    operand: Expression


@dataclass(frozen=True, slots=True)
class Index(Node):
    value: Expression
    index: Expression


@dataclass(frozen=True, slots=True)
class Argument(Node):
    """One argument of a call; `name` is None where it is given by position."""

    name: str | None
    value: Expression


@dataclass(frozen=True, slots=True)
class Call(Node):
    """A function applied to arguments, or in a stage a rule with its arguments."""

    function: str
    arguments: tuple[Argument, ...]


@dataclass(frozen=True, slots=True)
class Tuple(Node):
    """`(a, b)`: two items or more."""

    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class List(Node):
    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Conditional(Node):
    condition: Expression
    then: Expression
    otherwise: Expression


Expression = Number | Name | Text | Unary | Binary | Transpose | Index | Call | Tuple | List | Conditional


# Statements


@dataclass(frozen=True, slots=True)
class State(Node):
    """`state name[shape]: dtype = initial`; shape and dtype are None where not written."""

    name: str
    shape: tuple[Expression, ...] | None
    dtype: str | None
    initial: Expression


@dataclass(frozen=True, slots=True)
class Let(Node):
    """Binds one name, or takes a tuple apart into several. Later stages see what is exported."""

    names: tuple[str, ...]
    value: Expression
    is_exported: bool = False


@dataclass(frozen=True, slots=True)
class Assign(Node):
    target: str
    value: Expression


@dataclass(frozen=True, slots=True)
class Block(Node):
    statements: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class For(Node):
    names: tuple[str, ...]
    items: Expression
    body: Block


@dataclass(frozen=True, slots=True)
class Precision(Node):
    """`in dtype { … }`."""

    dtype: str
    body: Block


@dataclass(frozen=True, slots=True)
class Apply(Node):
    """A rule used as a statement of another rule; `target` is what it works on in the place of `update`."""

    call: Call
    target: str | None = None


Statement = State | Let | Assign | For | Precision | Apply


# Items of a file


@dataclass(frozen=True, slots=True)
class Optimizer(Node):
    name: str
    parent: str | None


@dataclass(frozen=True, slots=True)
class Cite(Node):
    source: str


@dataclass(frozen=True, slots=True)
class Use(Node):
    path: str


@dataclass(frozen=True, slots=True)
class Interval(Node):
    """`[lower, upper)`; a closed end belongs to it."""

    lower: Expression
    upper: Expression
    lower_closed: bool
    upper_closed: bool


@dataclass(frozen=True, slots=True)
class Hyper(Node):
    name: str
    default: Expression
    interval: Interval | None


@dataclass(frozen=True, slots=True)
class Const(Node):
    name: str
    value: Expression
    source: str | None


@dataclass(frozen=True, slots=True)
class Parameter(Node):
    """A parameter of a rule; `default` is None where the caller must give it."""

    name: str
    default: Expression | None


@dataclass(frozen=True, slots=True)
class Rule(Node):
    name: str
    parameters: tuple[Parameter, ...]
    docstring: str | None
    body: Block


@dataclass(frozen=True, slots=True)
class Stage(Node):
    stage: str
    body: Expression | Block


@dataclass(frozen=True, slots=True)
class Entry(Node):
    """`name = value` after `with`."""

    name: str
    value: Expression


@dataclass(frozen=True, slots=True)
class Otherwise(Node):
    """What happens to parameters that are not matrices; `overrides` are defaults of hypers for them."""

    body: Expression | Block
    overrides: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Route(Node):
    """`target` is `matrix` or `otherwise`."""

    target: str
    predicate: Expression


@dataclass(frozen=True, slots=True)
class ViewStep(Node):
    """A step of a view with its numbers, such as `split(3)`."""

    name: str
    arguments: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class View(Node):
    """The logical matrices in stored tensors for which the predicate holds."""

    steps: tuple[ViewStep, ...]
    predicate: Expression


@dataclass(frozen=True, slots=True)
class Checkpoint(Node):
    """A class whose checkpoints hold the same state when its groups hold `entries`."""

    system: str
    entries: tuple[Entry, ...]


Item = Optimizer | Cite | Use | Hyper | Const | Let | Rule | Stage | Otherwise | Route | View | Checkpoint


@dataclass(frozen=True, slots=True)
class Comment(Node):
    text: str


@dataclass(frozen=True, slots=True)
class File(Node):
    """A whole file. Comments ride along for the formatter and do not count in comparisons."""

    docstring: str | None
    items: tuple[Item, ...]
    comments: tuple[Comment, ...] = field(default=(), compare=False)


def children(node: Node) -> Iterator[Node]:
    """The nodes directly inside a node, comments of a file among them."""
    for each in fields(node):
        value = getattr(node, each.name)
        if isinstance(value, Node):
            yield value
        elif isinstance(value, tuple):
            yield from (item for item in value if isinstance(item, Node))


def walk(node: Node) -> Iterator[Node]:
    """The node and all nodes inside it, outermost first."""
    yield node
    for child in children(node):
        yield from walk(child)
