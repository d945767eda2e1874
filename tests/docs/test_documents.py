"""What the documents show is what the program does: their blocks are run, in order, in a copy of the specs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.docs.blocks import ROOT, Block, blocks, contains, errors_of, run_console, workplace

if TYPE_CHECKING:
    from pathlib import Path

DOCUMENTS = (
    "README.md",
    "docs/language.md",
    "docs/walkthrough.md",
    "docs/authoring.md",
    "docs/compare.md",
    "docs/cpu.md",
    "docs/gpu.md",
    "docs/checkpoints.md",
    "docs/mixed_precision.md",
    "docs/integrations.md",
    "docs/training.md",
)
SPECS = [block for file in DOCUMENTS for block in blocks(file) if block.kind == "muon"]


@pytest.mark.parametrize("block", SPECS, ids=str)
def test_specs_in_documents_have_the_errors_they_announce(block: Block) -> None:
    assert errors_of(block) == block.codes


@pytest.mark.parametrize("file", DOCUMENTS)
def test_code_and_commands_of_a_document_run(file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = workplace(tmp_path / "project")
    monkeypatch.setenv("MUONDSL_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(folder)
    namespace: dict[str, Any] = {}
    for block in blocks(file):
        if block.path:
            (folder / block.path).write_text(block.text, "utf-8")
        elif block.kind == "python":
            code = compile("\n" * (block.line - 1) + block.text, str(ROOT / file), "exec")
            exec(code, namespace)
        elif block.kind == "console":
            run_console(block, folder)


def test_excerpts_of_a_generated_file_stand_in_it() -> None:
    excerpts = [block for file in DOCUMENTS for block in blocks(file) if block.words[:2] == ("py", "excerpt")]
    assert excerpts
    for block in excerpts:
        assert contains((ROOT / block.words[2]).read_text("utf-8"), block.text), str(block)


def test_every_function_and_rule_is_described() -> None:
    from muondsl.check.functions import ROUTE_USAGE, USAGE
    from muondsl.check.modules import standard_library
    from muondsl.parse import ast

    text = (ROOT / "docs/language.md").read_text("utf-8")
    rules = [item.name for file in standard_library() for item in file.items if isinstance(item, ast.Rule)]
    missing = [name for name in (*USAGE, *ROUTE_USAGE) if f"`{name}(" not in text]
    missing += [name for name in rules if f"`{name}`" not in text]
    assert not missing


def test_the_glossary_has_every_letter() -> None:
    from muondsl.emit.mathematics import LETTERS

    rows = {tuple(cell.strip(" `") for cell in line.split("|")[1:3]) for line in _table("## Letters")}
    assert {(letter, name) for name, letter in LETTERS.items()} <= rows


def _table(heading: str) -> list[str]:
    text = (ROOT / "docs/language.md").read_text("utf-8").partition(heading)[2]
    return [line for line in text.splitlines() if line.startswith("| ")]
