"""Puts the runtime into a generated file, so that the file runs where muondsl is not installed."""

from __future__ import annotations

import ast
from importlib.resources import files

from muondsl.runtime import MODULES


def inline_runtime(body: str) -> str:
    """The text of a module with the runtime's definitions in the place of its imports from muondsl."""
    runtime = list(_runtime_needed_by(body).values())
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


def _runtime_needed_by(text: str) -> dict[str, str]:
    """The texts of the modules of the runtime that a text imports, each behind those that it needs itself."""
    found: dict[str, str] = {}
    seen: set[str] = set()

    def visit(text: str) -> None:
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("muondsl.runtime"):
                for name in _modules_of(node):
                    if name not in seen:
                        seen.add(name)
                        own = _without_type_checking(files("muondsl.runtime").joinpath(f"{name}.py").read_text("utf-8"))
                        visit(own)
                        found[name] = own

    visit(text)
    return found


def _modules_of(node: ast.ImportFrom) -> list[str]:
    """The modules of the runtime that hold what is imported."""
    if node.module != "muondsl.runtime":
        return [str(node.module).removeprefix("muondsl.runtime.")]
    imported = {alias.name for alias in node.names}
    return [module for module, names in MODULES.items() if imported & set(names)]


def _without_type_checking(text: str) -> str:
    """The text without imports that only a type checker follows: in one file the names are there."""
    lines = text.split("\n")
    for node in ast.parse(text).body:
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            lines[node.lineno - 1 : node.end_lineno] = [""] * ((node.end_lineno or node.lineno) - node.lineno + 1)
    return "\n".join(lines)


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
                names = [alias.name for alias in node.names if alias.name != "TYPE_CHECKING"]
                imports += [f"from {node.module} import {name}" for name in names]
        elif end:
            break
        if isinstance(node, ast.Import | ast.ImportFrom):
            end = node.end_lineno or 0
    return imports, "\n".join(text.split("\n")[end:]).strip("\n")


def _sorted(imports: dict[str, None]) -> list[str]:
    """`import` before `from`, the standard library before torch, as the formatter's users expect."""
    return sorted(imports, key=lambda line: ("torch" in line, line.startswith("from"), line))
