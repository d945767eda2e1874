"""The fenced blocks of a Markdown file, and what holds of each kind: python runs, console prints what it shows, muon is
a spec without errors, or with the errors named after `muon`. A path behind `python` or `muon` makes the block a file of
this name, which later blocks find.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from muondsl.check.tree_to_checked import check_file
from muondsl.diagnostics.span import Source
from muondsl.diagnostics.spec_error import SpecError

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^```(?P<words>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
CHANGING = ((re.compile(r"\b\d\.\de[+-]\d\d\b"), "0.0e+00"), (re.compile(r"\.muon:\d+"), ".muon:0"))
"""Measured errors differ between machines, and places in rules move; neither makes a document wrong."""

ITEM = re.compile(
    r"^(optimizer|hyper|let|gradient|momentum|orthogonalize|adapt|scale|decay|project|otherwise|route)\b", re.M
)
FRAME = "optimizer Example\nhyper lr = 1e-3 in [0, inf)\n"


@dataclass(frozen=True)
class Block:
    """`words` are those behind the opening fence; `line` is that of the text in its file."""

    file: str
    line: int
    words: tuple[str, ...]
    text: str

    @property
    def kind(self) -> str:
        return self.words[0] if self.words else ""

    @property
    def codes(self) -> list[str]:
        return sorted(word for word in self.words[1:] if re.fullmatch(r"M\d{4}", word))

    @property
    def path(self) -> str | None:
        paths = [word for word in self.words[1:] if "." in word]
        return paths[0] if paths and self.kind in ("python", "muon") else None

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


def blocks(file: str) -> list[Block]:
    text = (ROOT / file).read_text("utf-8")
    found = FENCE.finditer(text)
    return [
        Block(file, text.count("\n", 0, match.start()) + 2, tuple(match["words"].split()), match["text"])
        for match in found
    ]


def errors_of(block: Block) -> list[str]:
    """The codes of a block's errors. A part of a spec gets a name and a learning rate."""
    is_part = ITEM.search(block.text) and not re.search("^optimizer ", block.text, re.MULTILINE)
    text = FRAME + block.text if is_part else block.text
    try:
        check_file(Source(str(block), text), ROOT / "specs")
    except SpecError as error:
        return sorted(diagnostic.code for diagnostic in error.diagnostics)
    return []


def workplace(folder: Path) -> Path:
    """A copy of what the commands in the documents read, so that they may write."""
    for name in ("specs", "generated"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def run_console(block: Block, folder: Path) -> None:
    """Runs each `$ command` and compares what it prints with the lines below it."""
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        command, _, expected = part.partition("\n")
        scripts = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            command,
            shell=True,
            cwd=folder,
            env={**os.environ, "PATH": scripts, "COLUMNS": "200"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            timeout=240,
            check=False,
        )
        assert agrees(done.stdout, expected), f"{block}: $ {command}\n{done.stdout}"


def agrees(printed: str, expected: str) -> bool:
    """Whether the texts are equal, where a line `...` stands for any lines, and `...` in a line for any of it."""
    pieces = re.split(r"^\s*\.\.\.\n", _stable(expected), flags=re.MULTILINE)
    pattern = "(?:.*\n)*?".join(re.escape(piece).replace(r"\.\.\.", ".*") for piece in pieces)
    return re.fullmatch(pattern, _stable(printed)) is not None


def contains(text: str, excerpt: str) -> bool:
    """Whether the excerpt stands in the text, `...` for any lines left out."""
    return agrees(text, f"...\n{excerpt.rstrip()}\n...\n")


def _stable(text: str) -> str:
    """The text without blanks at the ends of lines, and without what changes from run to run."""
    for pattern, stable in CHANGING:
        text = pattern.sub(stable, text)
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())
