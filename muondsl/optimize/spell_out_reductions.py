"""Writes norms and means as the sums that kernels add up, in fp32.

                             %n.squares = * %x, %x
%n = norm %x over all   →    %n.sum = sum %n.squares over all
                             %n = sqrt %n.sum

%m = mean %x over cols  →    %m.sum = sum %x over cols
                             %m = / %m.sum, cols

%m = max %a over all    →    %m = copy %a                where %a is one number
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from muondsl.ir import program as ir
from muondsl.ir.scalar import Call, Scalar, Symbol
from muondsl.ir.types import COLS, LONG, ROWS, SHORT, Axis, Dim, DType, Type

if TYPE_CHECKING:
    from collections.abc import Iterator

FP32 = DType("fp32")
ROWS_COUNT, COLS_COUNT = Symbol("rows", "shape"), Symbol("cols", "shape")
COUNTS: dict[Dim, Scalar] = {
    ROWS: ROWS_COUNT,
    COLS: COLS_COUNT,
    SHORT: Call("min", (ROWS_COUNT, COLS_COUNT)),
    LONG: Call("max", (ROWS_COUNT, COLS_COUNT)),
}
AXES: dict[Axis, Dim] = {"rows": ROWS, "cols": COLS, "short": SHORT, "long": LONG}


def spell_out_reductions(program: ir.Program) -> ir.Program:
    table = program.table()
    definitions = tuple(part for each in program.definitions for part in _parts(each, table, program))
    return replace(program, definitions=definitions)


def _parts(
    definition: ir.Definition, table: dict[ir.Value, ir.Definition], program: ir.Program
) -> Iterator[ir.Definition]:
    operation = definition.operation
    if not isinstance(operation, ir.Reduce):
        yield definition
        return
    operand = table[operation.operand]
    if operand.type.dims.is_number:
        function = "abs" if operation.function == "norm" else "copy"
        yield replace(definition, operation=ir.Map(function, (operand.value,)))
        return
    is_uniform = operand.type.dims.is_vector or operand.type.dims.is_matrix
    if operation.function not in ("norm", "mean") or not is_uniform:
        yield definition
        return
    total = replace(definition, value=f"{definition.value}.sum", type=Type(definition.type.dims, FP32))
    if operation.function == "norm":
        squares = replace(
            definition,
            value=f"{definition.value}.squares",
            operation=ir.Map("*", (operand.value, operand.value)),
            type=Type(operand.type.dims, FP32),
            name=None,
        )
        name = f"{definition.name or 'norm'}_square"
        yield squares
        yield replace(total, operation=ir.Reduce("sum", squares.value, operation.axis), name=name)
        yield replace(definition, operation=ir.Map("sqrt", (total.value,)))
        return
    name = f"{definition.name or 'mean'}_sum"
    yield replace(total, operation=ir.Reduce("sum", operand.value, operation.axis), name=name)
    count = _count(operand, operation.axis, program)
    yield replace(definition, operation=ir.Map("/", (total.value, count)))


def _count(operand: ir.Definition, axis: Axis | None, program: ir.Program) -> Scalar:
    """How many numbers go into one result."""
    if axis is not None:
        return COUNTS[AXES[axis]]
    if program.route == "otherwise":
        return Symbol("numel", "shape")
    counts = [COUNTS[Dim(*sides)] for sides in zip(*operand.type.dims.sides, strict=True)]
    return counts[0] if len(counts) == 1 else Call("*", (counts[0], counts[1]))
