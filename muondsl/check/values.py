"""What an expression can be while checking: a scalar, a tensor, a list, a text or a number format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeGuard

from muondsl.check import typed
from muondsl.ir import scalar
from muondsl.ir.types import Format


@dataclass(frozen=True, slots=True)
class Text:
    value: str


@dataclass(frozen=True, slots=True)
class NumberFormat:
    name: Format


Value = scalar.Scalar | typed.Tensor | tuple["Value", ...] | Text | NumberFormat


def is_scalar(value: Value) -> TypeGuard[scalar.Scalar]:
    return isinstance(value, scalar.Scalar)


def is_tensor(value: Value) -> TypeGuard[typed.Tensor]:
    return isinstance(value, typed.Tensor)


def is_condition(value: Value) -> bool:
    match value:
        case typed.Elementwise() | typed.Read():
            return value.is_mask
    return is_scalar(value) and scalar.is_condition(value)


def describe(value: Value) -> str:
    """The kind of a value in words, with its article."""
    match value:
        case tuple():
            return f"a list of {len(value)} item{'' if len(value) == 1 else 's'}"
        case Text():
            return "a text"
        case NumberFormat():
            return "a number format"
    if is_condition(value):
        return "a condition"
    return f"a {value.dims} tensor" if is_tensor(value) else "a scalar"
