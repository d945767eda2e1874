"""Scalars: expressions whose value is known on the host before a step launches work. Literals keep their digits."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

Kind = Literal["hyper", "shape", "step", "loop"]


@dataclass(frozen=True, slots=True)
class Number:
    """A literal as written."""

    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Flag:
    value: bool

    def __str__(self) -> str:
        return "true" if self.value else "false"


@dataclass(frozen=True, slots=True)
class Symbol:
    """A hyper (`index` counts within one that is a tuple), a dimension of the matrix, `step`, or a loop's variable."""

    name: str
    kind: Kind
    index: int | None = None

    def __str__(self) -> str:
        return self.name if self.index is None else f"{self.name}[{self.index}]"


@dataclass(frozen=True, slots=True)
class Named:
    """A scalar to which the spec gives a name, kept so that generated code shows the same name.

    `is_coefficient` marks the number that a loop's variable stands for in one iteration.
    """

    name: str
    value: Scalar
    is_coefficient: bool = False

    def __str__(self) -> str:
        return str(self.value) if self.is_coefficient else self.name


@dataclass(frozen=True, slots=True)
class NameMatches:
    """In a route: whether the parameter's name matches one of the globs."""

    patterns: tuple[str, ...]

    def __str__(self) -> str:
        return f"named({', '.join(self.patterns)})"


@dataclass(frozen=True, slots=True)
class HasRole:
    """In a route: whether the parameter has one of the roles."""

    roles: tuple[str, ...]

    def __str__(self) -> str:
        return f"role({', '.join(self.roles)})"


@dataclass(frozen=True, slots=True)
class Call:
    """An operator or function of scalars."""

    function: str
    arguments: tuple[Scalar, ...]

    def __str__(self) -> str:
        operands = [str(argument) for argument in self.arguments]
        if self.function == "if":
            return f"(if {operands[0]} then {operands[1]} else {operands[2]})"
        if len(operands) == 2 and (not self.function.isalpha() or self.function in ("and", "or")):
            return f"({operands[0]} {self.function} {operands[1]})"
        if len(operands) == 1 and self.function in ("-", "not"):
            return f"({self.function} {operands[0]})"
        return f"{self.function}({', '.join(operands)})"


Scalar = Number | Flag | Symbol | Named | NameMatches | HasRole | Call

COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")
CONDITIONS = (*COMPARISONS, "and", "or", "not")

LARGEST_INTEGER = 2**53
"""Up to here float64 holds every integer."""

ZERO = Number("0")
ONE = Number("1")


def is_condition(scalar: Scalar) -> bool:
    match scalar:
        case Flag() | NameMatches() | HasRole():
            return True
        case Named(_, value):
            return is_condition(value)
        case Call("if", (_, then, _)):
            return is_condition(then)
        case Call(function, _):
            return function in CONDITIONS
        case _:
            return False


def walk(scalar: Scalar) -> Iterator[Scalar]:
    """The scalar and everything inside it, outermost first."""
    yield scalar
    match scalar:
        case Named(_, value):
            yield from walk(value)
        case Call(_, arguments):
            for argument in arguments:
                yield from walk(argument)


def named(scalar: Scalar) -> Iterator[Named]:
    """The scalars in it that have names, each behind those that it is made of; a loop's coefficients are none."""
    match scalar:
        case Named(_, value, is_coefficient):
            yield from named(value)
            if not is_coefficient:
                yield scalar
        case Call(_, arguments):
            for argument in arguments:
                yield from named(argument)


def symbols(scalar: Scalar) -> Iterator[Symbol]:
    return (part for part in walk(scalar) if isinstance(part, Symbol))


def is_constant(scalar: Scalar) -> bool:
    return not any(isinstance(part, Symbol | NameMatches) for part in walk(scalar))


def substitute(scalar: Scalar, values: Mapping[Symbol, Scalar]) -> Scalar:
    """The scalar with symbols replaced."""
    match scalar:
        case Symbol():
            return values.get(scalar, scalar)
        case Named(_, value):
            inner = substitute(value, values)
            return scalar if inner == value else replace(scalar, value=inner)
        case Call(function, arguments):
            return Call(function, tuple(substitute(argument, values) for argument in arguments))
        case _:
            return scalar


def without_names(scalar: Scalar) -> Scalar:
    """The scalar with every name replaced by what it stands for."""
    match scalar:
        case Named(_, value):
            return without_names(value)
        case Call(function, arguments):
            return Call(function, tuple(without_names(argument) for argument in arguments))
        case _:
            return scalar


def _lerp(start: float, end: float, weight: float) -> float:
    return start + weight * (end - start) if abs(weight) < 0.5 else end - (end - start) * (1 - weight)


FUNCTIONS: dict[str, Callable[..., float]] = {
    "+": lambda a, b: a + b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "**": lambda a, b: float(a) ** b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "not": lambda a: not a,
    "min": min,
    "max": max,
    "abs": abs,
    "sqrt": math.sqrt,
    "exp": math.exp,
    "log": math.log,
    "tanh": math.tanh,
    "floor": math.floor,
    "sign": lambda a: float((a > 0) - (a < 0)),
    "lerp": _lerp,
}
"""What each function of scalars computes in float64; `-`, `if`, `and` and `or` are in `evaluate`."""


def evaluate(scalar: Scalar, values: Mapping[Symbol, float]) -> float:
    """The value in float64. Raises ArithmeticError or ValueError where there is none."""
    match scalar:
        case Number(text):
            is_integer = text.removeprefix("-").isdigit() and abs(int(text)) <= LARGEST_INTEGER
            return int(text) if is_integer else float(text)
        case Flag(value):
            return value
        case Symbol():
            return values[scalar]
        case Named(_, value):
            return evaluate(value, values)
        case Call("if", (condition, then, otherwise)):
            return evaluate(then if evaluate(condition, values) else otherwise, values)
        case Call("and", (left, right)):
            return evaluate(left, values) and evaluate(right, values)
        case Call("or", (left, right)):
            return evaluate(left, values) or evaluate(right, values)
        case Call("-", arguments):
            operands = [evaluate(argument, values) for argument in arguments]
            return -operands[0] if len(operands) == 1 else operands[0] - operands[1]
        case Call(function, arguments):
            result = FUNCTIONS[function](*(evaluate(argument, values) for argument in arguments))
            if isinstance(result, complex):
                raise ValueError(f"{scalar} is not real")
            return result
        case NameMatches() | HasRole():
            raise ValueError("name and role of a parameter are not known here")
