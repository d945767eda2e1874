"""Diagnostics as plain text in the manner of rustc. The only place that lays them out."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from muondsl.diagnostics.diagnostic import Diagnostic
    from muondsl.diagnostics.span import Span

WIDTH = 120
"""Columns of a source line that are shown; a longer line is cut around the place."""


def render(diagnostic: Diagnostic) -> str:
    """The diagnostic with its source lines, ending in a line end."""
    places = [(diagnostic.span, diagnostic.label(), "^")]
    places += [(label.span, label.text, "-") for label in (*diagnostic.secondary(), *diagnostic.context)]
    gutter = max((len(str(span.line)) for span, _, _ in places), default=1)
    lines = [f"{diagnostic.severity}[{diagnostic.code}]: {visible(diagnostic.message())}"]
    for span, text, mark in places:
        lines += _snippet(span, visible(text), mark, gutter)
    remarks = [("note", note) for note in diagnostic.notes()] + [("help", text) for text in diagnostic.helps()]
    if remarks:
        lines.append(f"{' ' * gutter} |")
    lines += [f"{' ' * gutter} = {kind}: {visible(text)}" for kind, text in remarks]
    return "\n".join(lines) + "\n"


def visible(text: str) -> str:
    """`text` on one line, with everything that a terminal might obey written as an escape."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _snippet(span: Span, text: str, mark: str, gutter: int) -> list[str]:
    source = span.source
    line_number, column = source.position(span.start)
    arrow = "-->" if mark == "^" else ":::"
    lines = [f"{' ' * gutter}{arrow} {visible(source.name)}:{line_number}:{column}"]
    if not source.text:
        return lines + ([f"{' ' * gutter} = {text}"] if text else [])
    line = source.line(line_number)
    first = column - 1
    length = max(1, min(span.end - span.start, len(line) - first))
    cut = max(0, first - WIDTH // 2) if len(line) > WIDTH else 0
    shown, before = visible(line[cut : cut + WIDTH]), visible(line[cut:first])
    under = visible(line[first : min(first + length, cut + WIDTH)])
    pointer = " " * len(before) + mark * max(1, len(under))
    lines.append(f"{' ' * gutter} |")
    lines.append(f"{line_number:>{gutter}} | {shown}".rstrip())
    lines.append(f"{' ' * gutter} | {pointer} {text}".rstrip())
    return lines
