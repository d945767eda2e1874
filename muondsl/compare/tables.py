"""Tables of coefficients in loops: where their numbers come from, and how many steps take them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from muondsl.check import typed
from muondsl.compare.fact import Fact
from muondsl.ir import scalar as sc

if TYPE_CHECKING:
    from collections.abc import Iterator

Row = tuple[sc.Scalar, ...]


def table_facts(stage: typed.Stage, tables: tuple[typed.Table, ...]) -> Iterator[Fact]:
    """One fact for the loops of a stage. Numbers have the digits of the spec."""
    lines = [line for loop in _loops(stage.statements) for line in _lines(loop, tables)]
    if lines:
        yield Fact("coefficients", "\n".join(lines))


def _loops(statements: tuple[typed.Statement, ...]) -> Iterator[typed.Loop]:
    for statement in statements:
        if isinstance(statement, typed.Loop):
            yield statement
            yield from _loops(statement.body)


def _lines(loop: typed.Loop, tables: tuple[typed.Table, ...]) -> Iterator[str]:
    steps = f"{len(loop.items)} step{'' if len(loop.items) == 1 else 's'}"
    if len(loop.symbols) == 1:
        yield f"{steps}, with {', '.join(_digits(item) for (item,) in loop.items)}"
        return
    source = _source(loop.items, tables)
    yield f"{steps}{f' of {source}' if source else ''}"
    for row, first, last in _runs(loop.items):
        places = f"step {first}" if first == last else f"steps {first} to {last}"
        yield f"{places}: ({', '.join(_digits(each) for each in row)})"


def _source(items: tuple[Row, ...], tables: tuple[typed.Table, ...]) -> str:
    """The constant from which all rows are taken, with what it cites."""
    for table in tables:
        if all(row in table.rows for row in items):
            return f"{table.name}{f' ({table.source})' if table.source else ''}"
    return ""


def _runs(items: tuple[Row, ...]) -> Iterator[tuple[Row, int, int]]:
    """Rows with the steps, counted from one, for which each stays."""
    first = 0
    for place in range(1, len(items) + 1):
        if place == len(items) or items[place] != items[first]:
            yield items[first], first + 1, place
            first = place


def _digits(value: sc.Scalar) -> str:
    """A number as written; what is computed of numbers, with all the digits that it has."""
    match sc.without_names(value):
        case sc.Number(text):
            return text
        case sc.Call("-", (sc.Number(text),)):
            return f"-{text}"
        case other:
            return repr(float(sc.evaluate(other, {})))
