"""Gives a result memory of its own where it would be the memory of another input, which the step overwrites too.

store a = %new          %copy = copy %a
store b = %a      →     store a = %new
                        store b = %copy
"""

from __future__ import annotations

from dataclasses import replace

from muondsl.ir import program as ir


def copy_aliased_results(program: ir.Program) -> ir.Program:
    """What conversions, transposes and choices yield may be the memory of what they read."""
    table = program.table()
    definitions, results = list(program.definitions), []
    for result in program.results:
        definition = table[result.value]
        if _inputs_behind(definition, table) <= {result.target}:
            results.append(result)
            continue
        value = f"{result.target}.copy"
        origin = ir.Origin("apply", "")
        definitions.append(
            ir.Definition(value, ir.Map("copy", (result.value,)), definition.type, origin, result.target)
        )
        results.append(replace(result, value=value))
    return replace(program, definitions=tuple(definitions), results=tuple(results))


def _inputs_behind(definition: ir.Definition, table: dict[ir.Value, ir.Definition]) -> set[str]:
    """The inputs whose memory a value may share, by the names under which results are stored."""
    operation = definition.operation
    if isinstance(operation, ir.Input):
        return {operation.name}
    if not isinstance(operation, ir.Convert | ir.Transpose | ir.Orient | ir.Choose):
        return set()
    return set().union(*(_inputs_behind(table[value], table) for value in ir.operands(operation)))
