"""Files that belong together: a spec, its parents, what it uses, and the standard library.

A file comes in; its items joined with those of its parents, and one table of the rules and constants in reach, go out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from muondsl.check.functions import RESERVED
from muondsl.check.scope import AMBIENT_TENSORS, BUILT_IN
from muondsl.diagnostics import errors_names
from muondsl.diagnostics.diagnostic import closest
from muondsl.diagnostics.span import Source
from muondsl.parse import ast, parse, read

if TYPE_CHECKING:
    from muondsl.check.report import Report
    from muondsl.diagnostics.diagnostic import Diagnostic
    from muondsl.diagnostics.span import Span

RESERVED_NAMES = RESERVED | set(BUILT_IN) | set(AMBIENT_TENSORS)


@dataclass
class Library:
    """Rules and constants in reach, by name."""

    rules: dict[str, ast.Rule] = field(default_factory=dict)
    constants: dict[str, ast.Const] = field(default_factory=dict)

    def declared(self, name: str) -> ast.Rule | ast.Const | None:
        return self.rules.get(name) or self.constants.get(name)

    def add(self, item: ast.Rule | ast.Const) -> None:
        if isinstance(item, ast.Rule):
            self.rules[item.name] = item
        else:
            self.constants[item.name] = item


@dataclass(frozen=True)
class Modules:
    """`chain` holds the spec's file first, then its parent's, and so on; `own` are the spec file's own rules. Where a
    file is missing, what it declares is not known, and nothing is complete.
    """

    chain: tuple[ast.File, ...]
    library: Library
    own: tuple[ast.Rule, ...]
    is_complete: bool


def gather(source: Source, directory: Path, report: Report) -> Modules:
    """Reads everything that `source` refers to. Raises SpecError when a file has syntax errors."""
    library = Library()
    for file in standard_library():
        for item in file.items:
            if isinstance(item, ast.Rule | ast.Const):
                library.add(item)
    reader = _Reader(library, report)
    reader.reading.append((_existing(directory / Path(source.name).name), Path(source.name).name))
    chain = reader.chain(parse(source), directory)
    own = tuple(item for item in chain[0].items if isinstance(item, ast.Rule))
    return Modules(chain, library, own, reader.is_complete)


@cache
def standard_library() -> tuple[ast.File, ...]:
    """The files of `muondsl/rules`, in the order of their names."""
    folder = files("muondsl.rules")
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".muon"))
    return tuple(parse(Source(f"rules/{name}", folder.joinpath(name).read_text("utf-8"))) for name in names)


def file_of(optimizer: str) -> str:
    """The name of the file that declares an optimizer: `torch_muon.muon` for `TorchMuon`."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", optimizer)
    return f"{words.lower()}.muon"


@dataclass
class _Reader:
    """`used` are the files of rules read so far; `reading` is the file being read behind those that led to it."""

    library: Library
    report: Report
    used: set[Path] = field(default_factory=set)
    reading: list[tuple[Path | None, str]] = field(default_factory=list)
    is_complete: bool = True

    def chain(self, file: ast.File, directory: Path) -> tuple[ast.File, ...]:
        """The file and its ancestors; declares the rules and constants of each."""
        chain = [file]
        seen = [header.name for header in file.items if isinstance(header, ast.Optimizer)][:1]
        while True:
            self._declare(chain[-1], directory)
            header = next((item for item in chain[-1].items if isinstance(item, ast.Optimizer)), None)
            if header is None or header.parent is None:
                return tuple(chain)
            if header.parent in seen:
                cycle = (*seen[seen.index(header.parent) :], header.parent)
                self._miss(errors_names.ImportCycle(header.span.last(len(header.parent)), cycle))
                return tuple(chain)
            seen.append(header.parent)
            parent = self._parent(header, directory)
            if parent is None:
                return tuple(chain)
            chain.append(parent)

    def _parent(self, header: ast.Optimizer, directory: Path) -> ast.File | None:
        assert header.parent is not None
        path = directory / file_of(header.parent)
        shown = _beside(header.span, path.name)
        place = header.span.last(len(header.parent))
        if _existing(path) is None:
            self._miss(errors_names.ParentNotFound(place, header.parent, shown, _near(path)))
            return None
        parent = parse(read(path, shown))
        names = [item.name for item in parent.items if isinstance(item, ast.Optimizer)]
        if names[:1] != [header.parent]:
            self._miss(errors_names.WrongOptimizerInFile(place, header.parent, shown, names[0] if names else None))
            return None
        return parent

    def _declare(self, file: ast.File, directory: Path) -> None:
        for item in file.items:
            if isinstance(item, ast.Use):
                self._use(item, directory)
            elif isinstance(item, ast.Rule | ast.Const):
                self._add(item)

    def _use(self, use: ast.Use, directory: Path) -> None:
        path = directory / use.path
        resolved = _existing(path)
        place = use.span.last(len(use.path) + 2)
        if resolved is None:
            self._miss(errors_names.UsedFileNotFound(place, use.path, _near(path)))
            return
        shown = _beside(use.span, use.path)
        around = [known for known, _ in self.reading]
        if resolved in around:
            names = [name for _, name in self.reading[around.index(resolved) :]]
            self._miss(errors_names.ImportCycle(place, (*names, names[0])))
            return
        if resolved in self.used:
            return
        self.used.add(resolved)
        file = parse(read(path, shown))
        if not all(isinstance(item, ast.Rule | ast.Const | ast.Use | ast.Cite) for item in file.items):
            self._miss(errors_names.UsedFileHasStages(place, use.path))
            return
        self.reading.append((resolved, use.path))
        self._declare(file, path.parent)
        self.reading.pop()

    def _miss(self, diagnostic: Diagnostic) -> None:
        """Reports why a file is not read."""
        self.is_complete = False
        self.report.add(diagnostic)

    def _add(self, item: ast.Rule | ast.Const) -> None:
        first = self.library.declared(item.name)
        place = item.span.word(item.name)
        if item.name in RESERVED_NAMES:
            self.report.add(errors_names.ReservedName(place, item.name))
        elif first is None:
            self.library.add(item)
        elif first.span.source.name == item.span.source.name:
            self.report.add(errors_names.DuplicateName(place, item.name, first.span.word(item.name)))
        else:
            self.report.add(errors_names.AmbiguousRule(place, item.name, first.span.word(item.name)))


def _existing(path: Path) -> Path | None:
    """The file that a path leads to, if there is one."""
    try:
        return path.resolve() if path.is_file() else None
    except (OSError, ValueError):
        return None


def _beside(span: Span, name: str) -> str:
    """`name` as seen from where the file of `span` was named."""
    folder = span.source.name.rpartition("/")[0]
    return f"{folder}/{name}" if folder else name


def _near(path: Path) -> str | None:
    """The name of a spec beside `path` that was most likely meant."""
    try:
        return closest(path.name, (entry.name for entry in path.parent.glob("*.muon")))
    except (OSError, ValueError):
        return None
