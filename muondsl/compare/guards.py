"""Epsilons: small numbers that keep a division from failing, and where they act."""

from __future__ import annotations

from typing import TYPE_CHECKING

from muondsl.compare.fact import Fact
from muondsl.compare.probe_values import NO_VALUE, SHAPES, Hypers, symbol_values
from muondsl.emit.mathematics import formula
from muondsl.ir import program as ir
from muondsl.ir import scalar as sc

if TYPE_CHECKING:
    from collections.abc import Iterator

LARGEST = 1e-3
"""What is larger is no epsilon."""

NOUNS = {
    ("norm", None): "the norm",
    ("norm", "rows"): "the norms of columns",
    ("norm", "cols"): "the norms of rows",
    ("norm", "first"): "the norms of columns of the side",
    ("norm", "last"): "the norms of rows of the side",
    ("sum", None): "the sum",
    ("sum", "rows"): "the sums of columns",
    ("sum", "cols"): "the sums of rows",
    ("sum", "first"): "the sums of columns of the side",
    ("sum", "last"): "the sums of rows of the side",
    ("mean", None): "the mean",
    ("mean", "rows"): "the means of columns",
    ("mean", "cols"): "the means of rows",
    ("mean", "short"): "the means along the shorter side",
    ("mean", "long"): "the means along the longer side",
}


def guards(program: ir.Program, hypers: Hypers) -> Iterator[Fact]:
    """One fact, with a line for each way in which an epsilon acts."""
    table = program.table()
    lines = dict.fromkeys(
        line
        for definition in program.definitions
        if isinstance(definition.operation, ir.Map) and (line := _line(definition, program, table, hypers))
    )
    if lines:
        yield Fact("epsilon", "\n".join(lines))


def _line(definition: ir.Definition, program: ir.Program, table: dict[ir.Value, ir.Definition], hypers: Hypers) -> str:
    operation = definition.operation
    assert isinstance(operation, ir.Map)
    small = [part for part in operation.operands if not isinstance(part, str) and _is_small(part, hypers)]
    values = [part for part in operation.operands if isinstance(part, str)]
    if operation.function not in ("+", "max", "*") or len(small) != 1 or len(values) != 1:
        return ""
    if operation.function == "*":
        is_identity = table[values[0]].operation == ir.Whole("identity", ir.operands(table[values[0]].operation))
        return f"{formula(small[0])}, times the identity" if is_identity else ""
    acts = "added to" if operation.function == "+" else "a lower bound of"
    return f"{formula(small[0])}, {acts} {_noun(values[0], program, table)}{_inside(definition, program)}"


def _is_small(part: sc.Scalar, hypers: Hypers) -> bool:
    try:
        value = sc.evaluate(part, symbol_values(hypers, SHAPES[-1], 1))
    except NO_VALUE:
        return False
    return not isinstance(value, bool) and 0 < value <= LARGEST


def _noun(value: ir.Value, program: ir.Program, table: dict[ir.Value, ir.Definition]) -> str:
    """What an epsilon is added to; names that nothing outside of the stage knows are not told."""
    match table[value].operation:
        case ir.Convert(operand):
            return _noun(operand, program, table)
        case ir.Reduce(function, _, axis):
            return NOUNS.get((function, axis), f"the {function} over {axis or 'all'}")
        case ir.Map("sqrt", _):
            return "the root"
        case ir.Map("*", (factor, str() as operand)) if not isinstance(factor, str):
            return f"{formula(sc.without_names(factor))} times {_noun(operand, program, table)}"
        case ir.Map("/", (str() as operand, divisor)) if not isinstance(divisor, str):
            written = sc.without_names(divisor)
            over = f" over {formula(written)}" if written != sc.ONE else ""
            return f"{_noun(operand, program, table)}{over}"
        case ir.Input("state", name):
            return "the update" if name == "update" else f"the state {name}"
        case ir.Whole("trace", _):
            return "the trace"
    stored = next((result.target for result in program.results if result.value == value), "update")
    return "a value" if stored == "update" else f"the state {stored}"


def _inside(definition: ir.Definition, program: ir.Program) -> str:
    """Whether a root is taken of the sum."""
    readers = [each.operation for each in program.definitions if definition.value in ir.operands(each.operation)]
    is_rooted = any(isinstance(reader, ir.Map) and reader.function == "sqrt" for reader in readers)
    return ", inside the root" if is_rooted else ""
