"""Rewriting programs: new operations from old ones, definition by definition."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from muondsl.ir import program as ir
from muondsl.ir.scalar import Scalar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def with_operands(operation: ir.Operation, values: Mapping[ir.Value, ir.Value]) -> ir.Operation:
    """The operation reading other values; those not in `values` stay."""

    def new(value: ir.Value) -> ir.Value:
        return values.get(value, value)

    match operation:
        case ir.Input():
            return operation
        case ir.Map(_, parts) | ir.Whole(_, parts):
            return replace(operation, operands=tuple(new(part) if isinstance(part, str) else part for part in parts))
        case ir.MatMul(left, right):
            return ir.MatMul(new(left), new(right))
        case ir.Gemm(_, left, right, _, addend):
            return replace(operation, left=new(left), right=new(right), addend=new(addend))
        case ir.Quintic(operand, divisor, _):
            return replace(operation, operand=new(operand), divisor=new(divisor) if divisor else None)
        case ir.Choose(_, then, otherwise):
            return replace(operation, then=new(then), otherwise=new(otherwise))
        case _:
            return replace(operation, operand=new(operation.operand))


def with_scalars(operation: ir.Operation, change: Callable[[Scalar], Scalar]) -> ir.Operation:
    """The operation with each of its scalars changed."""
    match operation:
        case ir.Map(_, parts) | ir.Whole(_, parts):
            changed = tuple(part if isinstance(part, str) else change(part) for part in parts)
            return replace(operation, operands=changed)
        case ir.Gemm(alpha, _, _, beta, _):
            return replace(operation, alpha=change(alpha), beta=change(beta))
        case ir.Choose(condition, _, _):
            return replace(operation, condition=change(condition))
        case _:
            return operation


def with_results(program: ir.Program, values: Mapping[ir.Value, ir.Value]) -> tuple[ir.Result, ...]:
    return tuple(replace(result, value=values.get(result.value, result.value)) for result in program.results)
