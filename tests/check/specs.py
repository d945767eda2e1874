"""Short specs for the tests of the checker, and what is said about them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from muondsl.check import CheckedSpec, check
from muondsl.diagnostics.diagnostic import Diagnostic
from muondsl.diagnostics.span import Source
from muondsl.diagnostics.spec_error import SpecError

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "optimizer Mine\nhyper lr = 0.1 in [0, inf)\n"


def accepted(text: str, directory: Path | None = None) -> CheckedSpec:
    """The meaning of a spec that begins with HEAD."""
    return check(Source("mine.muon", HEAD + text), directory)


def errors(text: str, directory: Path | None = None, *, head: str = HEAD) -> list[Diagnostic]:
    """What is wrong with it: nothing, where the list is empty."""
    try:
        check(Source("mine.muon", head + text), directory)
    except SpecError as error:
        return list(error.diagnostics)
    return []


def codes(text: str, directory: Path | None = None, *, head: str = HEAD) -> list[str]:
    return [diagnostic.code for diagnostic in errors(text, directory, head=head)]


def places(text: str, directory: Path | None = None) -> list[str]:
    """Each error as its code and the words that it points at."""
    return [f"{diagnostic.code} {diagnostic.span.text}" for diagnostic in errors(text, directory)]
