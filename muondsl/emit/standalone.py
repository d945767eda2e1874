"""Puts the runtime into a generated file, so that the file runs where muondsl is not installed."""

from __future__ import annotations

import ast
from importlib.resources import files

RUNTIME = ("declarations.py", "optimizer.py")
"""The modules of `muondsl.runtime` in the order in which they need each other."""


def inline_runtime(body: str) -> str:
    """The text of a module with the runtime's definitions in the place of its imports from muondsl."""
    folder = files("muondsl.runtime")
    runtime = [folder.joinpath(name).read_text("utf-8") for name in RUNTIME]
    imports: dict[str, None] = {}
    parts = []
    for text in (*runtime, body):
        found, rest = _split(text)
        imports.update(dict.fromkeys(found))
        parts.append(rest)
    docstring = _docstring(body)
    own = parts.pop()
    head = ["from __future__ import annotations", *_sorted(imports)]
    marker = "# The runtime of muondsl, as every generated optimizer imports it."
    return "\n\n".join([docstring, "\n".join(head), own_exports(own), marker, *parts, without_exports(own)]) + "\n"


def own_exports(text: str) -> str:
    return next(line for line in text.split("\n") if line.startswith("__all__"))


def without_exports(text: str) -> str:
    return "\n".join(line for line in text.split("\n") if not line.startswith("__all__"))


def _docstring(text: str) -> str:
    first = ast.parse(text).body[0]
    return "\n".join(text.split("\n")[: first.end_lineno])


def _split(text: str) -> tuple[list[str], str]:
    """The imports from elsewhere, one name each, and what stands behind all imports."""
    tree = ast.parse(text)
    imports: list[str] = []
    end = 0
    for node in tree.body:
        if isinstance(node, ast.Import):
            imports += [f"import {alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if node.module and node.module != "__future__" and not node.module.startswith("muondsl"):
                imports += [f"from {node.module} import {alias.name}" for alias in node.names]
        elif end:
            break
        if isinstance(node, ast.Import | ast.ImportFrom):
            end = node.end_lineno or 0
    return imports, "\n".join(text.split("\n")[end:]).strip("\n")


def _sorted(imports: dict[str, None]) -> list[str]:
    """`import` before `from`, the standard library before torch, as the formatter's users expect."""
    return sorted(imports, key=lambda line: ("torch" in line, line.startswith("from"), line))
