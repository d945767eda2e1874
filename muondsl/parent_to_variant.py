"""A spec in, the text of a variant of it out, which is the same optimizer until something in it is uncommented."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from muondsl.check import check, typed
from muondsl.check.declarations import hypers_of
from muondsl.check.modules import Modules, file_of, gather
from muondsl.check.report import Report
from muondsl.diagnostics.span import Source
from muondsl.ir.reserved import is_usable_class
from muondsl.ir.scalar import named
from muondsl.lower import fingerprint
from muondsl.parse import ast, format_tree, read

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from muondsl.check import CheckedSpec

Item = TypeVar("Item", bound=ast.Item)

SNAKE_CASE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
CAMEL_CASE = re.compile(r"[A-Z][A-Za-z0-9]*(_[A-Za-z0-9]+)*")


class VariantError(RuntimeError):
    """There is no variant, and the message says why and how to go on."""


@dataclass(frozen=True)
class Variant:
    """A spec that is not yet written: its file, the name of its optimizer, its text."""

    path: Path
    name: str
    text: str


def parent_to_variant(name: str, parent: Path, directory: Path | None = None) -> Variant:
    """A spec called `name`, in snake case or as the class, that extends the one in the file `parent` and stands beside
    it or in another directory that has the parent too.

    Raises VariantError for a name that cannot be or is taken, and where `extends` would not find the parent; SpecError
    where the parent has errors.
    """
    chosen = class_name(name)
    folder = parent.parent if directory is None else directory
    path = folder / file_of(chosen)
    spec = check(read(parent), parent.parent)
    _require_found(spec.name, parent, folder)
    _require_free(chosen, path)
    text = _text(chosen, spec, gather(read(parent), parent.parent, Report()))
    variant = check(Source(path.name, text), folder)
    if fingerprint(replace(variant, name=spec.name)) != fingerprint(spec):
        raise VariantError(f"{folder / parent.name} is not the {spec.name} of {parent}: start from that file")
    return Variant(path, chosen, text)


def class_name(name: str) -> str:
    """`MyMuon` for `my_muon`, and `MyMuon` for itself. Its file is found by it. Raises VariantError for others."""
    if SNAKE_CASE.fullmatch(name):
        words = [word[0].upper() + word[1:] for word in name.split("_")]
        joined = "".join(words)
        chosen = joined if file_of(joined) == f"{name}.muon" else "_".join(words)
    elif CAMEL_CASE.fullmatch(name):
        chosen = name
    else:
        raise VariantError(f"{name!r} is no name for an optimizer: write it as my_muon or MyMuon, in ASCII")
    if not is_usable_class(chosen):
        raise VariantError(f"an optimizer cannot be called {chosen}, which means something else in generated code")
    return chosen


def _require_found(parent_name: str, parent: Path, folder: Path) -> None:
    needed = file_of(parent_name)
    rule = f"`extends {parent_name}` reads {needed} from the folder of the variant"
    if parent.name != needed:
        raise VariantError(f"{rule}, and the parent is called {parent.name}: rename it to {needed}")
    if not (folder / needed).is_file():
        raise VariantError(f"{rule}, and {folder} has none: copy {parent} there, or leave out --directory")


def _require_free(name: str, path: Path) -> None:
    if path.exists() or path.is_symlink():
        raise VariantError(f"{path.as_posix()} exists and is not overwritten: choose another name")
    header = re.compile(rf"^\s*optimizer\s+{name}\b", re.MULTILINE)
    for other in sorted(path.parent.glob("*.muon")):
        if other.is_file() and header.search(other.read_text("utf-8", errors="replace")):
            raise VariantError(f"{other.as_posix()} declares an optimizer {name} already: choose another name")


def _text(name: str, parent: CheckedSpec, modules: Modules) -> str:
    lines = [f'"""What {name} changes of {parent.name}, and why."""', f"optimizer {name} extends {parent.name}", ""]
    lines.append(f"# This is {parent.name}: uncomment what changes.")
    for remark, items in _groups(parent, modules):
        text = format_tree(ast.File(None, tuple(items)))
        remarks = [f"# {remark}"] if remark else []
        lines += ["", *remarks, *(f"# {line}".rstrip() for line in text.splitlines())] if items else []
    return "\n".join([*lines, ""])


def _groups(parent: CheckedSpec, modules: Modules) -> Iterator[tuple[str, Sequence[ast.Item]]]:
    """What is in force in the parent, its own and what it inherits, with remarks; what is not inherited last."""
    items = [item for file in modules.chain for item in file.items]
    hypers = {hyper.name for hyper in parent.hypers}
    yield "", [item for item in hypers_of(modules, Report()) if item.name in hypers]
    lets: dict[str, ast.Let] = {}
    for item in (item for item in items if isinstance(item, ast.Let)):
        lets |= {name: item for name in item.names if name in _names(parent) and name not in lets}
    yield "", list({id(item): item for item in lets.values()}.values())
    for kind in (ast.Route, ast.View):
        nearest = next((found for file in modules.chain if (found := _of(kind, file.items))), [])
        yield "These go together." if len(nearest) > 1 else "", nearest
    stages: dict[str, ast.Stage] = {}
    for stage in _of(ast.Stage, items):
        stages.setdefault(stage.stage, stage)
    yield "", [stages[name] for name in ast.STAGES if name in stages and not _is_none(stages[name].body)]
    yield "", [item for item in _of(ast.Otherwise, items)[:1] if not _is_none(item.body)]
    yield "No variant has these unless it says so.", _of(ast.Checkpoint, modules.chain[0].items)


def _of(kind: type[Item], items: Iterable[ast.Item]) -> list[Item]:
    return [item for item in items if isinstance(item, kind)]


def _is_none(body: ast.Expression | ast.Block) -> bool:
    return isinstance(body, ast.Name) and body.identifier == "none"


def _names(spec: CheckedSpec) -> set[str]:
    """The scalars with names that a step reads."""
    updates = [spec.of_matrices, *([spec.otherwise] if spec.otherwise else [])]
    return {part.name for update in updates for each in typed.scalars(update) for part in named(each)}
