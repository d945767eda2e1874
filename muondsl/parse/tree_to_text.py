"""A tree in, its canonical text out: one layout for every spec, so that two specs differ only where they mean
different things. `parse` of the text is the tree again, and formatting twice is formatting once.

Comments stay with what they stood beside. One in the middle of an expression, where the layout has no line
for it, moves in front of its statement. Never drops a comment, looks at meaning, or respells a number.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING

from muondsl.parse import ast
from muondsl.parse.expression_to_line import Brackets, Element, Line, brackets_of, flat, without_place
from muondsl.parse.item_to_parts import cells, end_of_parameters, item_to_parts
from muondsl.parse.text_to_tree import parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from muondsl.diagnostics.span import Source

WIDTH = 110
STEP = 2

_TO_BRACE = re.compile(r"(?:#[^\n]*+|[^#{])*+\{")
_TO_DOCSTRING = re.compile(r'(?:\s|#[^\n]*+)*+(?P<docstring>"""(?:[^"]|"(?!""))*"""|"[^"\n]*")')


def format_text(source: Source) -> str:
    """The canonical text of `source`. Raises SpecError where it does not parse."""
    return format_tree(parse(source))


def format_tree(file: ast.File) -> str:
    """The canonical text of `file`. Where a tree has no places, a blank line stands between unlike items."""
    page = _Page(file)
    page.file(file)
    return "".join(f"{line}\n" for line in _aligned(page.lines))


@dataclass(frozen=True, slots=True)
class _Row:
    """A line in columns, which are aligned with those of the rows before and after it."""

    cells: tuple[str, ...]
    comment: str = ""

    def text(self, widths: Sequence[int]) -> str:
        """The line with all cells but its last padded."""
        *padded, last = self.cells
        return "".join(f"{cell:<{width}}" for cell, width in zip(padded, widths, strict=False)) + last


class _Page:
    """The lines written so far, and the comments still to be written, in the order of their places."""

    def __init__(self, file: ast.File) -> None:
        self.source = file.span.source
        self.lines: list[str | _Row] = []
        self.comments = sorted(file.comments, key=lambda comment: comment.span.start)
        self.places = [comment.span.start for comment in self.comments]
        self.taken = 0

    # Places. A node that was not read from this source has none, and draws no comment to itself.

    def has_place(self, node: ast.Node | Element | Brackets) -> bool:
        return node.span.source is self.source and node.span.end > 0

    def start(self, node: ast.Node | Element | Brackets) -> int:
        return node.span.start if self.has_place(node) else -1

    def end(self, node: ast.Node | Element | Brackets) -> int:
        return node.span.end if self.has_place(node) else -1

    def limits(self, nodes: Sequence[ast.Node | Element], end: int) -> list[int]:
        """The places before which comments belong to what stands before each node, and before `end`."""
        found = [end]
        for node in reversed(nodes):
            found.append(self.start(node) if self.has_place(node) else found[-1])
        return found[::-1]

    def is_after_blank(self, place: int) -> bool:
        """Whether the line of `place` follows a blank line, and nothing else stands on it before `place`."""
        line, column = self.source.position(place)
        return line > 1 and not (self.source.line(line - 1) + self.source.line(line)[: column - 1]).strip()

    # Comments

    def is_own_line(self, comment: ast.Comment) -> bool:
        line, column = self.source.position(comment.span.start)
        return not self.source.line(line)[: column - 1].strip()

    def has_comment(self, start: int, end: int) -> bool:
        """Whether a comment is still to be written that begins after `start` and before `end`."""
        return bisect_left(self.places, start + 1, self.taken) < bisect_left(self.places, end, self.taken)

    def take(self, until: int) -> list[ast.Comment]:
        """The comments that begin before `until`."""
        first, self.taken = self.taken, bisect_left(self.places, until, self.taken)
        return self.comments[first : self.taken]

    def take_unhosted(self, until: int, hosts: Sequence[tuple[int, int]]) -> list[ast.Comment]:
        """The comments before `until`, up to the first for which there is a line inside one of the hosts."""
        for index in range(self.taken, len(self.places)):
            place = self.places[index]
            if place >= until or any(start < place < end for start, end in hosts):
                return self.take(min(place, until))
        return self.take(until)

    def own_lines(self, comments: Iterable[ast.Comment], indent: int) -> None:
        self.lines += [" " * indent + _written(comment) for comment in comments]

    def leading(self, until: int, indent: int, begin: int) -> None:
        """Writes the comments before `until`, and the blank lines before them, but none as line `begin`."""
        for comment in self.take(until):
            self.leave_blank(self.is_after_blank(comment.span.start), begin)
            self.own_lines([comment], indent)

    def leave_blank(self, wanted: bool, begin: int) -> None:
        if wanted and len(self.lines) > begin:
            self.lines.append("")

    def trailing(self, end: int, limit: int, indent: int) -> None:
        """Writes behind the last line the comments before `end`, and those before `limit` that follow code.

        Only one can stand there; the others come after it on lines of their own.
        """
        comments = self.take(end)
        while self.has_comment(-1, limit) and not self.is_own_line(self.comments[self.taken]):
            comments += self.take(self.places[self.taken] + 1)
        if comments:
            last, text = self.lines[-1], "  " + _written(comments[0])
            self.lines[-1] = last + text if isinstance(last, str) else replace(last, comment=text)
        self.own_lines(comments[1:], indent)

    # Lines

    def put(self, line: Line, indent: int) -> None:
        """Writes a line, and breaks those of its brackets that hold a comment or do not fit."""
        text = " " * indent
        line = tuple(self.inlined(line))
        for index, piece in enumerate(line):
            if isinstance(piece, str):
                text += piece
            elif self.stays_flat(piece, len(text), line[index + 1 :]):
                text += flat((piece,))
            else:
                opened = (text + piece.opening).rstrip()
                self.lines += [opened] if opened else []
                rest = () if piece.closing else line[index + 1 :]
                self.break_open(piece, indent + STEP if opened else indent, rest)
                text = " " * indent + piece.closing
                if rest:
                    break
        if text.strip():
            self.lines.append(text)

    def inlined(self, line: Line) -> Iterator[str | Brackets]:
        """The pieces, with those of its conditionals that hold a comment, which they have no line for. Where no bracket
        in a conditional has one either, its comments will stand elsewhere, and it is laid out as if it had none.
        """
        for piece in line:
            if not (isinstance(piece, Brackets) and piece.is_conditional and self.holds_comment(piece)):
                yield piece
            elif any(self.has_comment(start, end) for start, end in self.hosts((piece,))):
                yield piece.opening
                for element in piece.elements:
                    yield from (" ",) if element is not piece.elements[0] else ()
                    yield from self.inlined(element.line)
                yield piece.closing
            else:
                yield without_place(piece)

    def holds_comment(self, brackets: Brackets) -> bool:
        return self.has_comment(self.start(brackets), self.end(brackets))

    def stays_flat(self, brackets: Brackets, column: int, rest: Line) -> bool:
        if self.holds_comment(brackets):
            return False
        return column + len(flat((brackets,))) + _length_to_break(rest) <= WIDTH

    def break_open(self, brackets: Brackets, indent: int, rest: Line) -> None:
        """Writes each element on its own line, and the rest behind the last."""
        closing = self.end(brackets)
        limits = self.limits(brackets.elements, closing)
        self.trailing(-1, limits[0], indent)
        for element, limit in zip(brackets.elements, limits[1:], strict=True):
            self.own_lines(self.take(self.start(element)), indent)
            self.own_lines(self.take_unhosted(self.end(element), self.hosts(element.line)), indent)
            # The comments behind the last entry of a `with` are those of the statement, which it ends.
            is_end = not brackets.closing and element is brackets.elements[-1]
            self.put((*element.line, *rest) if is_end else (*element.line, brackets.separator), indent)
            if not is_end:
                self.trailing(self.end(element), limit, indent)
        if brackets.closing:
            self.own_lines(self.take(closing), indent)

    def hosts(self, line: Line) -> list[tuple[int, int]]:
        return [(self.start(brackets), self.end(brackets)) for brackets in brackets_of(line)]

    # Items and statements

    def file(self, file: ast.File) -> None:
        end = len(self.source.text) + 1
        docstring = self.docstring_place(file.docstring, 0)
        self.docstring(file.docstring, docstring, self.limits(file.items, end)[0], 0)
        self.sequence(file.items, 0, 0, end)
        self.own_lines(self.comments[self.taken :], 0)

    def docstring_place(self, docstring: str | None, begin: int) -> tuple[int, int]:
        """Where the docstring stands that follows `begin`, comments apart."""
        found = _TO_DOCSTRING.match(self.source.text, begin) if docstring is not None and begin >= 0 else None
        return found.span("docstring") if found else (-1, -1)

    def docstring(self, docstring: str | None, place: tuple[int, int], limit: int, indent: int) -> None:
        if docstring is None:
            return
        begin = len(self.lines)
        self.leading(place[0], indent, begin)
        self.leave_blank(place[0] >= 0 and self.is_after_blank(place[0]), begin)
        self.lines.append(f'{" " * indent}"""{docstring}"""')
        self.trailing(place[1], limit, indent)

    def sequence(self, nodes: Sequence[ast.Item | ast.Statement], indent: int, begin: int, end: int) -> None:
        """Writes the nodes and the comments before `end`, in a block whose first line has number `begin`."""
        limits = self.limits(nodes, end)
        previous: ast.Node | None = None
        for node, limit in zip(nodes, limits[1:], strict=True):
            start = self.start(node)
            self.leading(start, indent, begin)
            is_unlike = indent == 0 and _is_unlike(previous, node)
            self.leave_blank(self.is_after_blank(start) if start >= 0 else is_unlike, begin)
            self.node(node, indent)
            self.trailing(self.end(node), limit, indent)
            previous = node
        self.leading(end, indent, begin)

    def node(self, node: ast.Item | ast.Statement, indent: int) -> None:
        parts = item_to_parts(node)
        braces = self.braces(node, parts.body)
        hosts = [*self.hosts(parts.head), braces, *self.hosts(parts.tail)]
        self.own_lines(self.take_unhosted(self.end(node), hosts), indent)
        if parts.body:
            self.put((*parts.head, " {"), indent)
            self.body(node, parts.body, braces, indent + STEP)
            self.put(("}", *parts.tail), indent)
        elif (columns := cells(node)) and self.is_one_line(node, parts.head, indent):
            self.lines.append(_Row((" " * indent + columns[0], *columns[1:])))
        else:
            self.put(parts.head, indent)

    def is_one_line(self, node: ast.Node, line: Line, indent: int) -> bool:
        return indent + len(flat(line)) <= WIDTH and not self.has_comment(self.start(node), self.end(node))

    def braces(self, node: ast.Node, body: ast.Block | None) -> tuple[int, int]:
        """Where the braces of the body stand. The place of a rule's body is that of the whole rule."""
        if body is None or self.start(body) < 0:
            return -1, -1
        if not isinstance(node, ast.Rule):
            return self.start(body), self.end(body) - 1
        found = _TO_BRACE.match(self.source.text, end_of_parameters(node))
        return (found.end() - 1 if found else -1), self.end(body) - 1

    def body(self, node: ast.Node, block: ast.Block, braces: tuple[int, int], indent: int) -> None:
        opening, closing = braces
        begin = len(self.lines)
        first = self.limits(block.statements, closing)[0]
        docstring = node.docstring if isinstance(node, ast.Rule) else None
        place = self.docstring_place(docstring, opening + 1 if opening >= 0 else -1)
        self.trailing(opening, first if docstring is None else place[0], indent)
        self.docstring(docstring, place, first, indent)
        self.sequence(block.statements, indent, begin, closing)


def _written(comment: ast.Comment) -> str:
    return comment.text.rstrip(" \t")


def _length_to_break(line: Line) -> int:
    """How many characters must stay on the line: those up to the next bracket that can be broken."""
    length = 0
    for piece in line:
        if isinstance(piece, Brackets):
            return length + len(piece.opening.rstrip())
        length += len(piece)
    return length


def _is_unlike(previous: ast.Node | None, node: ast.Node) -> bool:
    """Whether a blank line sets the item apart from the one before it, or from the docstring of the file."""
    if isinstance(node, ast.Rule) or isinstance(getattr(previous, "body", None), ast.Block):
        return True
    head = (ast.Optimizer, ast.Cite, ast.Use, type(None))
    return type(previous) is not type(node) and not (isinstance(previous, head) and isinstance(node, head))


def _aligned(lines: Iterable[str | _Row]) -> Iterator[str]:
    """The lines as text. Rows that follow each other are aligned, if that leaves them short enough."""
    for _, run in groupby(lines, key=lambda line: isinstance(line, _Row)):
        members = list(run)
        rows = [line for line in members if isinstance(line, _Row)]
        widths = [
            max(len(row.cells[column]) for row in rows if len(row.cells) > column + 1)
            for column in range(max((len(row.cells) for row in rows), default=1) - 1)
        ]
        if any(len(row.text(widths)) > WIDTH for row in rows):
            widths = [0] * len(widths)
        yield from (line for line in members if isinstance(line, str))
        yield from (row.text(widths) + row.comment for row in rows)
