"""Rows for a screen: one line a spec, or all of one spec."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from muondsl.family.member import Member, Stage, bytes_an_element

if TYPE_CHECKING:
    from collections.abc import Sequence

GAP = "  "
NARROWEST = 8
"""Columns are not cut to fewer characters, and names of specs not at all; where that is too wide, lines are cut."""

LABEL = 15
INDENT = "  "
UNBOUNDED = 10_000
NO_BREAK = "\u00a0"
"""A space at which no line is broken: a hyper stays on one line, and an argument with its value."""


def print_table(members: Sequence[Member], width: int | None = None) -> str:
    """One line a spec; where that is wider than `width` characters, the widest columns are cut."""
    titles = ("spec", "momentum", "orthogonalize", "adapt", "scale", "decay", "otherwise")
    rows = [titles, *map(_cells, members)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    limit = width or UNBOUNDED
    while sum(widths) + len(GAP) * (len(widths) - 1) > limit and max(widths[1:]) > NARROWEST:
        widths[widths.index(max(widths[1:]), 1)] -= 1
    lines = (GAP.join(_cut(cell, size).ljust(size) for cell, size in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(_cut(line.rstrip(), limit) for line in lines)


def _cells(member: Member) -> tuple[str, ...]:
    """What comes before the momentum stands with it, and what follows the step with the decay."""
    groups = (("gradient", "momentum"), ("orthogonalize",), ("adapt",), ("scale",), ("decay", "project"))
    cells = (" + ".join(stage.short for stage in member.stage(*names)) for names in groups)
    otherwise = member.otherwise.short if member.otherwise else ""
    return member.file, *(cell or "-" for cell in (*cells, otherwise))


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def print_member(member: Member, width: int | None = None) -> str:
    """All cells of a row, each on lines of its own."""
    parent = f" extends {member.parent}" if member.parent else ""
    paragraph = textwrap.fill(
        member.docstring, max(width or UNBOUNDED, LABEL), initial_indent=INDENT, subsequent_indent=INDENT
    )
    head = [f"{member.file}: {member.name}{parent}", *([paragraph] if member.docstring else [])]
    cells = [("source", citation) for citation in member.citations]
    cells += [("hypers", ", ".join(hyper.replace(" ", NO_BREAK) for hyper in member.hypers))]
    cells += [("routes", f"{target}: {condition}") for target, condition in member.routes]
    cells += [("views", view) for view in member.views]
    for stage in member.stages:
        if stage.name == "orthogonalize":
            cells += [("divides by", found) for found in member.divided_by]
        cells += _stage(stage)
    cells += [("state", str(state)) for state in member.states]
    if member.has_matrices:
        cells.append(("bytes", f"{bytes_an_element(member.states)} an element in fp32"))
    if member.otherwise:
        cells += _stage(member.otherwise)
        cells += [("its state", str(state)) for state in member.other_states]
        cells.append(("its bytes", f"{bytes_an_element(member.other_states)} an element in fp32"))
    cells.append(("kernels", f"none: {member.obstacle}" if member.obstacle else "Triton"))
    lines: list[str] = []
    for place, (label, cell) in enumerate(cells):
        shown = "" if place and cells[place - 1][0] == label else label
        lines += _labelled(shown, cell, width or UNBOUNDED)
    return "\n".join([*head, *lines])


def _stage(stage: Stage) -> list[tuple[str, str]]:
    """A block as the formatter lays it out; anything else with the arguments that it takes from defaults."""
    written = stage.text.removeprefix(stage.name).lstrip() if "\n" in stage.text else stage.line
    return [(stage.name, written)] + ([("where", stage.where)] if stage.where else [])


def _labelled(label: str, cell: str, width: int) -> list[str]:
    first = f"{INDENT}{label:<{LABEL}}"
    rest = " " * len(first)
    if "\n" in cell:
        lines = cell.split("\n")
        return [first + lines[0], *(rest + line for line in lines[1:])]
    kept = cell.replace(" = ", f"{NO_BREAK}={NO_BREAK}")
    size = max(width, 2 * len(first))
    wrapped = textwrap.wrap(kept, size, initial_indent=first, subsequent_indent=rest, break_long_words=False)
    return [line.replace(NO_BREAK, " ") for line in wrapped]
