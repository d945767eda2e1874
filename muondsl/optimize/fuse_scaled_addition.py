"""Adds a multiple of a tensor in one operation that rounds once. Changes the last bit, so only for `fast`.

%p = * b, %m
%u = + %g, %p    →    %u = add_scaled %g, %m, b
"""

from __future__ import annotations

from dataclasses import replace

from muondsl.ir import program as ir
from muondsl.ir.scalar import Call, Scalar


def fuse_scaled_addition(program: ir.Program) -> ir.Program:
    table, uses = program.table(), ir.uses(program)
    done = []
    for definition in program.definitions:
        fused = _fused(definition, table, uses)
        done.append(replace(definition, operation=fused) if fused else definition)
    return replace(program, definitions=tuple(done))


def _fused(definition: ir.Definition, table: dict[ir.Value, ir.Definition], uses: dict[ir.Value, int]) -> ir.Map | None:
    match definition.operation:
        case ir.Map("+", (str() as left, str() as right)):
            for start, multiple in ((left, right), (right, left)):
                if scaled := _scaled(multiple, table, uses):
                    return _add_scaled(definition, table, start, *scaled)
        case ir.Map("-", (str() as left, str() as right)):
            if scaled := _scaled(right, table, uses):
                return _add_scaled(definition, table, left, scaled[0], Call("-", (scaled[1],)))
    return None


def _add_scaled(
    definition: ir.Definition,
    table: dict[ir.Value, ir.Definition],
    start: ir.Value,
    multiple: ir.Value,
    factor: Scalar,
) -> ir.Map | None:
    """Only where the start has the shape and format of the result, so that it can be changed in place."""
    return ir.Map("add_scaled", (start, multiple, factor)) if table[start].type == definition.type else None


def _scaled(
    value: ir.Value, table: dict[ir.Value, ir.Definition], uses: dict[ir.Value, int]
) -> tuple[ir.Value, Scalar] | None:
    if uses[value] != 1:
        return None
    match table[value].operation:
        case ir.Map("*", (str() as operand, factor)) if not isinstance(factor, str):
            return operand, factor
        case ir.Map("*", (factor, str() as operand)) if not isinstance(factor, str):
            return operand, factor
    return None
