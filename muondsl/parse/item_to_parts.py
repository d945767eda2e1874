"""An item or statement in, its lines out: a head, and where it has a block the block and what follows it.

Never breaks a line and never sees a comment.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from muondsl.diagnostics.span import Span
from muondsl.parse import ast
from muondsl.parse.expression_to_line import Element, Line, bracketed, flat, joined
from muondsl.parse.expression_to_line import expression_to_line as expression

if TYPE_CHECKING:
    from collections.abc import Sequence

STAGE_WIDTH = max(map(len, ast.STAGES))
ROUTE_WIDTH = len("otherwise")

_TO_PARENTHESIS = re.compile(r"(?:#[^\n]*+|[^#)])*+\)")


@dataclass(frozen=True, slots=True)
class Parts:
    """`head`, or `head {`, the body, `} tail`."""

    head: Line
    body: ast.Block | None = None
    tail: Line = ()


def item_to_parts(node: ast.Item | ast.Statement) -> Parts:
    match node:
        case ast.State() | ast.Let() | ast.Assign() | ast.For() | ast.Precision() | ast.Apply():
            return _statement(node)
        case ast.Rule():
            return Parts((f"rule {node.name}", *_parameters(node)), node.body)
        case ast.Stage():
            return _stage(node.stage, node.body)
        case ast.Otherwise():
            return _stage("otherwise", node.body, _entries(node.overrides, _end(node.body)))
        case _:
            return Parts(_declaration(node))


def cells(node: ast.Item | ast.Statement) -> tuple[str, ...]:
    """The line in columns, for those that are aligned with their neighbours: hypers and assignments."""
    match node:
        case ast.Hyper(interval=None):
            return f"hyper {node.name} ", f"= {flat(expression(node.default))}"
        case ast.Hyper(interval=ast.Interval() as interval):
            return f"hyper {node.name} ", f"= {flat(expression(node.default))}  ", flat(_interval(interval))
        case ast.Assign():
            return f"{node.target} ", f"<- {flat(expression(node.value))}"
        case _:
            return ()


def end_of_parameters(rule: ast.Rule) -> int:
    """Where the parenthesis after the parameters ends in the source."""
    places = [node.span.end for node in rule.parameters if node.span.source is rule.span.source]
    found = _TO_PARENTHESIS.match(rule.span.source.text, max(places, default=rule.span.start))
    return found.end() if found else rule.span.start


def _declaration(
    node: ast.Optimizer | ast.Cite | ast.Use | ast.Hyper | ast.Const | ast.Route | ast.View | ast.Checkpoint,
) -> Line:
    match node:
        case ast.Optimizer():
            parent = f" extends {node.parent}" if node.parent is not None else ""
            return (f"optimizer {node.name}{parent}",)
        case ast.Cite():
            return (f'cite "{node.source}"',)
        case ast.Use():
            return (f'use "{node.path}"',)
        case ast.Hyper():
            interval = ("  ", *_interval(node.interval)) if node.interval else ()
            return (f"hyper {node.name} = ", *expression(node.default), *interval)
        case ast.Const():
            source = f' cite "{node.source}"' if node.source is not None else ""
            return (f"const {node.name} = ", *expression(node.value), source)
        case ast.Route():
            return (f"route {node.target:<{ROUTE_WIDTH}} ", *expression(node.predicate))
        case ast.View():
            return ("view ", *joined(map(_step, node.steps)), " where ", *expression(node.predicate))
        case ast.Checkpoint():
            return (f'checkpoint "{node.system}"', *_entries(node.entries, node.span))
        case _:
            assert_never(node)


def _step(node: ast.ViewStep) -> Line:
    return (node.name, "(", *joined(map(expression, node.arguments)), ")") if node.arguments else (node.name,)


def _statement(node: ast.Statement) -> Parts:
    match node:
        case ast.State():
            shape = ("[", *joined(map(expression, node.shape)), "]") if node.shape is not None else ()
            dtype = f": {node.dtype}" if node.dtype is not None else ""
            return Parts((f"state {node.name}", *shape, f"{dtype} = ", *expression(node.initial)))
        case ast.Let():
            word = "export let" if node.is_exported else "let"
            return Parts((f"{word} {_names(node.names)} = ", *expression(node.value)))
        case ast.Assign():
            return Parts((f"{node.target} <- ", *expression(node.value)))
        case ast.Apply():
            target = (f" on {node.target}",) if node.target is not None else ()
            return Parts((*expression(node.call), *target))
        case ast.For():
            return Parts((f"for {_names(node.names)} in ", *expression(node.items)), node.body)
        case ast.Precision():
            return Parts((f"in {node.dtype}",), node.body)
        case _:
            assert_never(node)


def _stage(word: str, body: ast.Expression | ast.Block, tail: Line = ()) -> Parts:
    """Expressions of stages begin in one column, and so do those of `otherwise`."""
    if isinstance(body, ast.Block):
        return Parts((word,), body, tail)
    return Parts((f"{word:<{STAGE_WIDTH}} ", *expression(body), *tail))


def _parameters(rule: ast.Rule) -> Line:
    elements = (Element(node.span, _parameter(node)) for node in rule.parameters)
    return bracketed("(", elements, ")", Span(rule.span.source, rule.span.start, end_of_parameters(rule)))


def _parameter(node: ast.Parameter) -> Line:
    return (node.name,) if node.default is None else (f"{node.name} = ", *expression(node.default))


def _interval(node: ast.Interval) -> Line:
    opening, closing = "[" if node.lower_closed else "(", "]" if node.upper_closed else ")"
    return (f"in {opening}", *joined([expression(node.lower), expression(node.upper)]), closing)


def _entries(entries: Sequence[ast.Entry], begin: Span) -> Line:
    """The entries with their `with`, which stands after the start of `begin`."""
    if not entries:
        return ()
    elements = (Element(entry.span, (f"{entry.name} = ", *expression(entry.value))) for entry in entries)
    return bracketed(" with ", elements, "", begin.to(entries[-1].span))


def _end(node: ast.Node) -> Span:
    return Span(node.span.source, node.span.end, node.span.end)


def _names(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else f"({', '.join(names)})"
