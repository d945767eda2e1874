"""In a standalone file all modules of the runtime share one namespace."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import muondsl.runtime
from muondsl.ir.reserved import RUNTIME

MODULES = [path for path in Path(muondsl.runtime.__path__[0]).glob("*.py") if path.name != "__init__.py"]


def names_of(module: Path) -> Iterator[str]:
    for node in ast.parse(module.read_text("utf-8")).body:
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.Assign(targets=targets):
                parts = (part for target in targets for part in ast.walk(target))
                yield from (part.id for part in parts if isinstance(part, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name


def test_no_two_modules_of_the_runtime_define_one_name() -> None:
    counts = Counter(name for module in MODULES for name in set(names_of(module)))
    assert len(MODULES) > 20
    assert [name for name, count in counts.items() if count > 1] == []


def test_no_optimizer_can_have_a_name_of_the_runtime() -> None:
    imported = {
        (alias.asname or alias.name).split(".")[0]
        for module in MODULES
        for node in ast.parse(module.read_text("utf-8")).body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    defined = {name for module in MODULES for name in names_of(module)}
    assert {name for name in defined | imported if not name.startswith("_")} == RUNTIME
