"""Rows of text as a table with aligned columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def text_table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """The first column is on the left, the others, which hold numbers, are on the right."""
    widths = [max(map(len, column)) for column in zip(heading, *rows, strict=True)]
    for row in (heading, *rows):
        first, *others = row
        cells = [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))]
        yield "  " + "  ".join(cells).rstrip()
