"""Calls of functions of matrices as wholes: decompositions, solutions, order statistics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from muondsl.check import typed
from muondsl.check.values import Value, describe
from muondsl.diagnostics import errors_functions, errors_types
from muondsl.diagnostics.warnings_cost import CostlyFunction
from muondsl.ir import scalar
from muondsl.ir.types import ONE, SCALAR, Dims, shorter
from muondsl.parse import ast

if TYPE_CHECKING:
    from muondsl.check.expressions import Expressions

COUNTS = {"svd": 1, "identity": 1, "trace": 1, "oriented": 1, "solve_lower": 2, "quantile": 2}
"""How many arguments each takes."""

PARTS = ("svd_left", "svd_values", "svd_right")


def whole_call(node: ast.Call, within: Expressions) -> Value:
    """The value, which of `svd` is a list of three tensors. Raises Abandoned after reporting."""
    name = node.function
    if any(argument.name for argument in node.arguments) or len(node.arguments) != COUNTS[name]:
        within.misused(node)
    first = node.arguments[0].value
    if name != "quantile":
        within.refuse_in_otherwise(name, node.span)
    x = within.tensor(first, f"what `{name}` is applied to")
    match name:
        case "svd":
            within.report.warn(CostlyFunction(node.span, name))
            short = shorter(x.dims)
            dims = (Dims(x.dims.row, short), Dims(ONE, short), Dims(short, x.dims.col))
            return tuple(typed.Whole(part, (x,), each) for part, each in zip(PARTS, dims, strict=True))
        case "oriented":
            if "1" in (x.dims.row.tall, x.dims.row.wide, x.dims.col.tall, x.dims.col.wide):
                within.report.abandon(errors_types.WrongKind(first.span, describe(x), name))
            return typed.Whole(name, (x,), x.dims.oriented)
        case "quantile":
            return typed.Whole(name, (x, _level(node, within)), SCALAR)
    if x.dims.row != x.dims.col:
        within.report.abandon(errors_functions.NotSquare(first.span, name, str(x.dims)))
    if name == "solve_lower":
        right = within.tensor(node.arguments[1].value, "what `solve_lower` is applied to")
        if x.dims.col != right.dims.row:
            shown = (str(x.dims), str(right.dims))
            within.report.abandon(errors_types.InnerDimensionMismatch(node.span, *shown, False))
        return typed.Whole(name, (x, right), right.dims)
    return typed.Whole(name, (x,), SCALAR if name == "trace" else x.dims)


def _level(node: ast.Call, within: Expressions) -> scalar.Scalar:
    argument = node.arguments[1].value
    level = within.number(argument, "the level of a quantile")
    if scalar.is_constant(level) and not 0 <= (value := scalar.evaluate(level, {})) <= 1:
        within.report.abandon(errors_functions.BadQuantile(argument.span, f"{value:g}"))
    return level
