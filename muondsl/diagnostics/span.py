"""Places in a source text: what a diagnostic points at and what a syntax node carries."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from functools import cached_property


@dataclass(frozen=True, eq=False)
class Source:
    """A text with the name under which users know it; compared by identity.

    `stable_name` is the name in generated files: the same on every machine and from every working directory.
    """

    name: str
    text: str
    stable_name: str = ""

    @cached_property
    def line_starts(self) -> tuple[int, ...]:
        starts = [0]
        starts.extend(index + 1 for index, char in enumerate(self.text) if char == "\n")
        return tuple(starts)

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column of `offset`, both counted from one."""
        line = bisect_right(self.line_starts, offset)
        return line, offset - self.line_starts[line - 1] + 1

    def line(self, number: int) -> str:
        """The text of line `number` (from one) without its line end."""
        start = self.line_starts[number - 1]
        end = self.text.find("\n", start)
        return self.text[start:] if end < 0 else self.text[start:end]


@dataclass(frozen=True, slots=True)
class Span:
    """The characters `start` to `end` (exclusive) of a source."""

    source: Source = field(repr=False)
    start: int
    end: int

    @property
    def line(self) -> int:
        return self.source.position(self.start)[0]

    @property
    def text(self) -> str:
        return self.source.text[self.start : self.end]

    @property
    def place(self) -> str:
        """`name:line`, the form that generated comments use."""
        return f"{self.source.stable_name or self.source.name}:{self.line}"

    def word(self, word: str) -> Span:
        """The place of a word inside this one: its first; this one where it is not found."""
        found = re.compile(rf"\b{re.escape(word)}\b").search(self.source.text, self.start, self.end)
        return Span(self.source, found.start(), found.end()) if found else self

    def last(self, length: int) -> Span:
        """The last `length` characters."""
        return Span(self.source, max(self.start, self.end - length), self.end)

    def to(self, other: Span) -> Span:
        return Span(self.source, self.start, max(self.end, other.end))


NOWHERE = Span(Source("<built in>", ""), 0, 0)
