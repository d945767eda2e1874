"""What a diagnostic is: data with a code and a place. Rendering is in `render.py`; the catalogue is in `errors_*.py`."""

from __future__ import annotations

from dataclasses import dataclass, field
from difflib import get_close_matches
from inspect import cleandoc
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterable

    from muondsl.diagnostics.span import Span


@dataclass(frozen=True, slots=True)
class Label:
    """A secondary place with a remark on it."""

    span: Span
    text: str


@dataclass(frozen=True)
class Diagnostic:
    """One error at one place. A subclass's docstring is the long form that `muondsl explain CODE` prints.

    `context` holds the places that led here: the uses of a rule inside which the error was found.
    """

    code: ClassVar[str]
    span: Span
    context: tuple[Label, ...] = field(default=(), kw_only=True, compare=False)

    def message(self) -> str:
        raise NotImplementedError(type(self).__name__)

    def label(self) -> str:
        return ""

    def secondary(self) -> tuple[Label, ...]:
        return ()

    def notes(self) -> tuple[str, ...]:
        return ()

    def helps(self) -> tuple[str, ...]:
        return ()

    @classmethod
    def explanation(cls) -> str:
        return cleandoc(cls.__doc__ or "")


class SpecError(Exception):
    """A spec that cannot be compiled; `diagnostics` holds every error found, in the order of their places."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(sorted(set(diagnostics), key=_order))
        super().__init__(self.diagnostics)

    def __str__(self) -> str:
        from muondsl.diagnostics.render import render

        return "\n".join(render(diagnostic) for diagnostic in self.diagnostics)


def _order(diagnostic: Diagnostic) -> tuple[str, int, int, str, str]:
    span = diagnostic.span
    return span.source.name, span.start, span.end, diagnostic.code, diagnostic.message()


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word that `word` was most likely meant to be, if one is near."""
    matches = get_close_matches(word, sorted(known), n=1, cutoff=0.6)
    return matches[0] if matches else None


def did_you_mean(close: str | None) -> tuple[str, ...]:
    return (f"did you mean `{close}`?",) if close else ()


def listing(words: Iterable[str], last: str = "or") -> str:
    """The words in backticks: `a`, `b` or `c`."""
    quoted = [f"`{word}`" for word in words]
    if len(quoted) < 2:
        return "".join(quoted)
    return f"{', '.join(quoted[:-1])} {last} {quoted[-1]}"
