"""Trees as text, a node a line: what `muondsl show --stage tree` prints."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from muondsl.parse import ast

if TYPE_CHECKING:
    from collections.abc import Iterator


def print_tree(node: ast.Node) -> str:
    return "\n".join(_lines(node, "", 0)) + "\n"


def _lines(node: ast.Node, label: str, depth: int) -> Iterator[str]:
    plain: list[str] = []
    children: list[tuple[str, ast.Node]] = []
    for each in fields(node):
        name, value = each.name, getattr(node, each.name)
        if isinstance(value, ast.Node):
            children.append((f"{name}: ", value))
        elif name == "comments":
            continue
        elif isinstance(value, tuple) and any(isinstance(item, ast.Node) for item in value):
            children += [("", item) for item in value]
        elif value not in (None, ()) and name not in ("docstring", "span"):
            plain.append(f" {name}={value!r}")
    yield f"{'  ' * depth}{label}{type(node).__name__}{''.join(plain)}"
    for name, child in children:
        yield from _lines(child, name, depth + 1)
