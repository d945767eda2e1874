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
        case typed.Choose(_, then):
            return is_condition(then)
    return is_scalar(value) and scalar.is_condition(value)


def parts(value: scalar.Scalar) -> tuple[scalar.Scalar, ...]:
    """The scalars directly inside a scalar."""
    match value:
        case scalar.Named(_, inner):
            return (inner,)
        case scalar.Call(_, arguments):
            return arguments
        case _:
            return ()


def operations(value: typed.Tensor) -> int:
    """How many operations a tensor expression is; those on its scalars, which the host computes, count a quarter."""
    match value:
        case typed.Read():
            return 0
        case typed.Elementwise(_, operands) | typed.Whole(_, operands):
            on_host = sum(1 for operand in operands if is_scalar(operand) for _ in scalar.walk(operand))
            return 1 + on_host // 4 + sum(operations(operand) for operand in operands if is_tensor(operand))
        case typed.Product(left, right) | typed.Choose(_, left, right):
            return 1 + operations(left) + operations(right)
        case typed.Transposed(operand) | typed.Reduce(_, operand) | typed.Convert(operand):
            return 1 + operations(operand)


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
