"""What a diagnostic is: data with a code and a place. `render.py` lays it out; `errors_*.py` hold them all."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from difflib import get_close_matches
from inspect import cleandoc
from typing import TYPE_CHECKING, ClassVar, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from muondsl.diagnostics.span import Span


Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Label:
    """A secondary place with a remark on it."""

    span: Span
    text: str


@dataclass(frozen=True)
class Diagnostic(ABC):
    """One error or warning at one place. A subclass's docstring is the long form that `muondsl explain CODE` prints.

    `context` holds the places that led here: the uses of a rule inside which the error was found.
    """

    code: ClassVar[str]
    severity: ClassVar[Severity] = "error"
    span: Span
    context: tuple[Label, ...] = field(default=(), kw_only=True, compare=False)

    @abstractmethod
    def message(self) -> str:
        """What is wrong, in one line."""

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
