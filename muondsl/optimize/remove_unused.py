"""Removes definitions that no result needs. Inputs stay: their names are taken whether they are read or not.

%a = norm %x          (nothing)
%b = + %x, %y    →    %b = + %x, %y
store s = %b          store s = %b
"""

from __future__ import annotations

from dataclasses import replace

from muondsl.ir import program as ir


def remove_unused(program: ir.Program) -> ir.Program:
    needed = {result.value for result in program.results}
    kept = []
    for definition in reversed(program.definitions):
        if definition.value in needed or isinstance(definition.operation, ir.Input):
            needed.update(ir.operands(definition.operation))
            kept.append(definition)
    return replace(program, definitions=tuple(reversed(kept)))
