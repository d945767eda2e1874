"""Calls that yield lists: parts of lists, lists put together, and tables of coefficients."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from muondsl.check import tables
from muondsl.check.values import Value, describe, is_condition, is_scalar
from muondsl.diagnostics import errors_functions, errors_rules, errors_types
from muondsl.ir import scalar
from muondsl.parse import ast

if TYPE_CHECKING:
    from collections.abc import Callable

    from muondsl.check.expressions import Expressions

MAXIMUM_LIST = 128
"""Items of a list that a loop unrolls."""

PARAMETERS = {
    "range": ("count",),
    "take": ("list", "count"),
    "cycle": ("list", "count"),
    "last": ("list", "count"),
    "scaled": ("table", "factor"),
    "polar_express": ("lower", "steps", "safety", "cushion"),
    "cans": ("lower", "steps"),
}
DEFAULTS = {"safety": 0.0, "cushion": 0.0}
BETWEEN: dict[str, tuple[str, Callable[[float], bool]]] = {
    "lower": ("between 0 and 1", lambda value: 0 < value < 1),
    "safety": ("not below 0, and finite", lambda value: 0 <= value < math.inf),
    "cushion": ("between 0 and 1", lambda value: 0 <= value < 1),
    "factor": ("above 0", lambda value: value > 0),
}
"""What the numbers must be that tables are made from."""


def list_call(node: ast.Call, within: Expressions) -> tuple[Value, ...]:
    """The list. Raises Abandoned after reporting."""
    name = node.function
    if name == "join":
        return _joined(node, within)
    given = _given(node, within)
    if name == "range":
        return tuple(scalar.Number(str(index)) for index in range(_length(given["count"], within)))
    if name in ("polar_express", "cans"):
        return _generated(node, given, within)
    items = within.items(given["table" if name == "scaled" else "list"], f"what `{name}` takes from")
    if name == "scaled":
        return _scaled(node, items, given, within)
    count = _length(given["count"], within)
    if count and not items:
        within.report.abandon(errors_types.IndexOutOfRange(given["list"].span, 0, 0))
    if name == "last":
        first = items[:1] * (count - len(items))
        return first + items[len(items) - min(count, len(items)) :]
    return tuple(items[index % len(items) if name == "cycle" else min(index, len(items) - 1)] for index in range(count))


def _given(node: ast.Call, within: Expressions) -> dict[str, ast.Expression]:
    """The arguments by the names of their parameters. Only tables that are generated have arguments with names."""
    names = PARAMETERS[node.function]
    positional = [argument.value for argument in node.arguments if argument.name is None]
    given = dict(zip(names, positional, strict=False))
    named = {argument.name: argument.value for argument in node.arguments if argument.name is not None}
    is_known = set(named) <= set(names) - set(given) and ("lower" in names or not named)
    given |= {name: value for name, value in named.items() if name}
    is_complete = all(name in given or name in DEFAULTS for name in names)
    if len(positional) > len(names) or len(positional) + len(named) < len(node.arguments):
        within.misused(node)
    if not is_known or not is_complete:
        within.misused(node)
    return given


def _joined(node: ast.Call, within: Expressions) -> tuple[Value, ...]:
    if len(node.arguments) < 2 or any(argument.name for argument in node.arguments):
        within.misused(node)
    lists = [within.items(argument.value, "what `join` puts together") for argument in node.arguments]
    joined = tuple(item for each in lists for item in each)
    if len(joined) > MAXIMUM_LIST:
        within.report.abandon(errors_rules.LoopTooLong(node.span, len(joined), MAXIMUM_LIST))
    return joined


def _length(node: ast.Expression, within: Expressions) -> int:
    """A count that is not above what may be unrolled."""
    count = within.count(node, "the number of items")
    if count > MAXIMUM_LIST:
        within.report.abandon(errors_rules.LoopTooLong(node.span, count, MAXIMUM_LIST))
    return count


def _number(name: str, given: dict[str, ast.Expression], within: Expressions) -> float:
    if name not in given:
        return DEFAULTS[name]
    value = float(within.constant(given[name], f"`{name}`"))
    needed, is_allowed = BETWEEN[name]
    if not is_allowed(value):
        within.report.abandon(errors_functions.BadTableArgument(given[name].span, name, f"{value:g}", needed))
    return value


def _generated(node: ast.Call, given: dict[str, ast.Expression], within: Expressions) -> tuple[Value, ...]:
    lower, steps = _number("lower", given, within), _length(given["steps"], within)
    try:
        if node.function == "cans":
            rows = tables.cans(lower, steps)
        else:
            safety, cushion = (_number(name, given, within) for name in ("safety", "cushion"))
            rows = tables.polar_express(lower, steps, safety, cushion)
    except (ArithmeticError, ValueError):
        rows = ((math.nan,),)
    return tuple(_row(row, node, within) for row in rows)


def _scaled(
    node: ast.Call, items: tuple[Value, ...], given: dict[str, ast.Expression], within: Expressions
) -> tuple[Value, ...]:
    factor = _number("factor", given, within)
    table = [_numbers(item, given["table"], within) for item in items]
    try:
        rows: tuple[tables.Row, ...] = tuple(tables.scaled(row, factor) for row in table)
    except ArithmeticError:
        rows = ((math.nan,),)
    return tuple(_row(row, node, within) for row in rows)


def _numbers(item: Value, node: ast.Expression, within: Expressions) -> tables.Row:
    """The coefficients of one polynomial."""
    if not isinstance(item, tuple):
        within.report.abandon(errors_types.ExpectedList(node.span, describe(item), "each item of a table"))
    numbers = []
    for part in item:
        if not is_scalar(part) or is_condition(part):
            within.report.abandon(errors_types.ExpectedScalar(node.span, describe(part), "each coefficient of a table"))
        if not scalar.is_constant(part):
            within.report.abandon(errors_types.NotCompileTime(node.span, "each coefficient of a table"))
        numbers.append(float(scalar.evaluate(part, {})))
    return tuple(numbers)


def _row(row: tables.Row, node: ast.Call, within: Expressions) -> Value:
    """The numbers as literals of the fewest digits that are read back the same."""
    if not all(math.isfinite(number) for number in row):
        within.report.abandon(errors_types.UndefinedArithmetic(node.span, " ".join(node.span.text.split())))
    return tuple(scalar.Number(repr(number)) for number in row)
