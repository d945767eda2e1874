"""A stage in, its words out: one line for a table, a few for a screen."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING

from muondsl.family.member import Stage
from muondsl.parse import ast, format_tree
from muondsl.parse.expression_to_line import expression_to_line, flat
from muondsl.parse.item_to_parts import item_to_parts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

WHOLE_BLOCK = 240
"""Characters up to which a block stands in a line as it is, but for its states, which have a place of their own."""


def stage_to_lines(file: ast.File, rules: Mapping[str, ast.Rule], scalars: Mapping[str, ast.Let | ast.Const]) -> Stage:
    """The stage, or `otherwise`, that a file holds alone. `rules` are those in reach, `scalars` the lets and numbers of
    its spec by name.
    """
    (node,) = file.items
    assert isinstance(node, ast.Stage | ast.Otherwise)
    name = node.stage if isinstance(node, ast.Stage) else "otherwise"
    text = format_tree(file).rstrip("\n")
    if isinstance(node.body, ast.Block):
        line = _block(node.body, rules)
        names = [apply.call.function for apply in _uses(node.body)]
        has_own = any(isinstance(part, ast.Assign) for part in ast.walk(node.body))
        short = " + ".join([*names, *(["…"] if has_own else [])]) if names else "written out"
    else:
        body = _completed(node.body, rules)
        line = flat(expression_to_line(body))
        short = body.function if isinstance(body, ast.Call) and body.function in rules else line
    if isinstance(node, ast.Otherwise) and node.overrides:
        line += " with " + ", ".join(f"{each.name} = {flat(expression_to_line(each.value))}" for each in node.overrides)
    where = ", ".join(f"{each} = {value}" for each, value in _scalars_read(node, scalars).items())
    return Stage(name, short, line, text, where)


def _completed(node: ast.Expression, rules: Mapping[str, ast.Rule]) -> ast.Expression:
    """The use of a rule with the defaults that it takes; any other expression as it is."""
    name = node.function if isinstance(node, ast.Call) else node.identifier if isinstance(node, ast.Name) else ""
    rule = rules.get(name)
    if rule is None:
        return node
    given = node.arguments if isinstance(node, ast.Call) else ()
    by_name = {argument.name for argument in given}
    by_place = sum(argument.name is None for argument in given)
    taken = [each for each in rule.parameters[by_place:] if each.name not in by_name and each.default is not None]
    defaults = (ast.Argument(each.name, each.default) for each in taken if each.default is not None)
    return ast.Call(name, (*given, *defaults), span=node.span)


def _block(block: ast.Block, rules: Mapping[str, ast.Rule]) -> str:
    """All statements where they are short; else the rules used, the last statement, and how many others there are."""
    statements = [each for each in block.statements if not isinstance(each, ast.State)]
    whole = _braced(_statement(statement, rules) for statement in statements)
    return whole if len(whole) <= WHOLE_BLOCK else _braced(_outline(statements, rules))


def _braced(statements: Iterable[str]) -> str:
    return f"{{ {'; '.join(statements)} }}"


def _statement(node: ast.Statement, rules: Mapping[str, ast.Rule]) -> str:
    if isinstance(node, ast.Apply):
        return _use(node, rules)
    parts = item_to_parts(node)
    return f"{flat(parts.head)} {_block(parts.body, rules)}" if parts.body else flat(parts.head)


def _use(node: ast.Apply, rules: Mapping[str, ast.Rule]) -> str:
    call = _completed(node.call, rules)
    assert isinstance(call, ast.Call)
    return flat(item_to_parts(replace(node, call=call)).head)


def _outline(statements: Sequence[ast.Statement], rules: Mapping[str, ast.Rule]) -> Iterator[str]:
    for is_left_out, nodes in groupby(statements, key=lambda node: node is not statements[-1] and not _uses(node)):
        if is_left_out:
            count = len(list(nodes))
            yield f"… {count} statement{'s' if count > 1 else ''} …"
            continue
        for node in nodes:
            body = node.body.statements if isinstance(node, ast.For | ast.Precision) else ()
            head = flat(item_to_parts(node).head)
            yield f"{head} {_braced(_outline(body, rules))}" if body else _statement(node, rules)


def _uses(node: ast.Node) -> list[ast.Apply]:
    return [part for part in ast.walk(node) if isinstance(part, ast.Apply)]


def _scalars_read(node: ast.Node, scalars: Mapping[str, ast.Let | ast.Const]) -> dict[str, str]:
    """The scalars of the spec that a node reads, and those that these read, each with what it is."""
    found: dict[str, str] = {}
    for part in ast.walk(node):
        if isinstance(part, ast.Name) and part.identifier in scalars:
            item = scalars[part.identifier]
            names = (item.name,) if isinstance(item, ast.Const) else item.names
            name = names[0] if len(names) == 1 else f"({', '.join(names)})"
            found |= {name: flat(expression_to_line(item.value)), **_scalars_read(item.value, scalars)}
    return found
