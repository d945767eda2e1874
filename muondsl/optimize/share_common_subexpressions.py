"""Computes equal things once.

%a = convert %u       %a = convert %u
%b = convert %u   →   %c = / %a, %n
%c = / %b, %n
"""

from __future__ import annotations

from dataclasses import replace

from muondsl.ir import program as ir
from muondsl.ir.rewrite import with_operands, with_results, with_scalars
from muondsl.ir.scalar import without_names
from muondsl.ir.types import Type


def share_common_subexpressions(program: ir.Program) -> ir.Program:
    """Two definitions are equal when their operations, operands and types are; names of scalars do not count."""
    first: dict[tuple[ir.Operation, Type], int] = {}
    same: dict[ir.Value, ir.Value] = {}
    kept: list[ir.Definition] = []
    for definition in program.definitions:
        operation = with_operands(definition.operation, same)
        key = (with_scalars(operation, without_names), definition.type)
        place = first.setdefault(key, len(kept))
        if place == len(kept):
            kept.append(replace(definition, operation=operation))
            continue
        same[definition.value] = kept[place].value
        if kept[place].name is None:
            kept[place] = replace(kept[place], name=definition.name)
    return replace(program, definitions=tuple(kept), results=with_results(program, same))
