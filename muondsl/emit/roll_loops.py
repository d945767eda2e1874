"""Unrolled iterations that differ only in a loop's numbers become a Python loop over a table of them.

s = x @ x.mT                                      for a, b, c in COEFFICIENTS:
x = torch.addmm(x, s, x, beta=3.4445)      →          s = x @ x.mT
s = x @ x.mT                                          x = torch.addmm(x, s, x, beta=a)
x = torch.addmm(x, s, x, beta=3.4445)
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from muondsl.emit.torch_statements import Statement


@dataclass(frozen=True)
class Loop:
    """`names` run over `rows`; the body is the statements of one iteration."""

    names: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    body: tuple[Statement, ...]


def roll_loops(statements: Iterable[Statement], taken: frozenset[str]) -> Iterator[Statement | Loop]:
    """The statements with loops in the place of equal iterations; others stay unrolled, among them those whose
    variables have names that are `taken`.
    """
    for loop, group in groupby(statements, key=lambda statement: statement.origin.loop):
        inside = list(group)
        rolled = _rolled(inside) if loop is not None else None
        if rolled is None or taken & set(rolled.names):
            yield from inside
        else:
            yield rolled


def _rolled(statements: list[Statement]) -> Loop | None:
    iterations = [list(group) for _, group in groupby(statements, key=lambda statement: statement.origin.iteration)]
    bodies = [[statement.rolled for statement in iteration] for iteration in iterations]
    if len(iterations) < 2 or any(body != bodies[0] for body in bodies):
        return None
    rows = [dict(pair for statement in iteration for pair in statement.numbers) for iteration in iterations]
    if any(row.keys() != rows[0].keys() for row in rows):
        return None
    names = tuple(sorted(rows[0]))
    return Loop(names, tuple(tuple(row[name] for name in names) for row in rows), tuple(iterations[0]))
