"""The tables of docs/conformance.md, which `python -m tests.conformance.document` writes into it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.conformance.failures import FAILURES
from tests.conformance.of_torch import OF_TORCH
from tests.family.document import code, table, written
from tests.specs import SPECS

DOCUMENT = SPECS.parent / "docs/conformance.md"
TESTS = SPECS.parent / "tests"


def place_of(test: str) -> tuple[Path, str]:
    """The file and the name of a test."""
    file, name = test.split("::")
    return TESTS / (f"{file}.py" if "/" in file else f"conformance/test_{file}.py"), name


def link(test: str) -> str:
    path, name = place_of(test)
    words = name.removeprefix("test_").replace("_", " ")
    return f"[{words}](../{path.relative_to(SPECS.parent).as_posix()})"


def links(tests: tuple[str, ...]) -> str:
    return "; ".join(map(link, tests))


def of_torch() -> str:
    rows = ((code(each.name), links(each.tests), each.reason) for each in OF_TORCH)
    return table(("torch's", "held by", "why not, or not so"), rows)


def failures() -> str:
    rows = ((each.what, f"**{each.outcome}**: {each.how}", links(each.tests)) for each in FAILURES)
    return table(("elsewhere", "here", "held by"), rows)


REGIONS: dict[str, Callable[[], str]] = {"failures": failures, "of torch": of_torch}


def main() -> None:
    text = DOCUMENT.read_text("utf-8")
    for name, make in REGIONS.items():
        text = written(text, name, make())
    DOCUMENT.write_text(text, "utf-8")
    print(f"{Path(*DOCUMENT.parts[-2:]).as_posix()} written")


if __name__ == "__main__":
    main()
