"""Inspections as a table for a terminal of 120 columns, and as data for JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from muondsl.aot.accesses import Widths
from muondsl.aot.inspection import Inspection

WIDTH = 120
HEADINGS = ("target", "registers", "spills", "shared", "blocks", "bound by", "matrix", "copies", "loads", "stores")
_NUMBERS = ("registers", "spills", "shared", "blocks")


def to_data(inspections: Sequence[Inspection]) -> list[dict[str, Any]]:
    """One object a kernel and target; `occupancy` is in blocks a multiprocessor and `bound` what limits it."""
    return [
        {
            "spec": inspection.spec,
            "kernel": inspection.kernel,
            "variant": inspection.variant,
            "title": inspection.title,
            "target": inspection.target,
            "launches": inspection.launches,
            "matrices": inspection.matrices,
            "warps": inspection.warps,
            "stages": inspection.stages,
            "registers": inspection.registers,
            "spills": inspection.spills,
            "scalar_spills": inspection.scalar_spills,
            "shared": inspection.shared,
            "tensor_memory": inspection.tensor_memory,
            "occupancy": inspection.occupancy.blocks,
            "bound": inspection.occupancy.bound,
            "matrix_instructions": dict(inspection.matrix_instructions),
            "copies": dict(inspection.copies),
            "load_width": inspection.load_width,
            "store_width": inspection.store_width,
            "loads": _to_names(inspection.loads),
            "stores": _to_names(inspection.stores),
        }
        for inspection in inspections
    ]


def to_table(inspections: Sequence[Inspection]) -> str:
    """A line for each kernel, with its constants, and below it one row a target.

    Loads and stores are written `16×8`, eight instructions of 16 bytes each: those of tiles, or of vectors if there are
    no tiles.
    """
    rows: dict[str, list[tuple[str, ...]]] = {}
    for one in inspections:
        rows.setdefault(_heading(one), []).append(_cells(one))
    cells = [HEADINGS, *(row for group in rows.values() for row in group)]
    sizes = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [_row(HEADINGS, sizes)]
    for heading, group in rows.items():
        lines += ["", *_wrapped(heading), *(_row(row, sizes) for row in group)]
    return "\n".join(lines)


def to_summary(inspections: Sequence[Inspection]) -> list[str]:
    """A line for each spec and target: `Moonlight: 12 kernels for sm_90, at most 128 registers, no spills`."""
    groups: dict[tuple[str, str], list[Inspection]] = {}
    for one in inspections:
        groups.setdefault((one.spec, one.target), []).append(one)
    lines = []
    for (spec, target), group in groups.items():
        spilling = [f"{one.kernel} spills {one.spills} bytes" for one in group if one.spills]
        most = max(one.registers for one in group)
        found = ", ".join(spilling) or "no spills"
        lines.append(f"{spec}: {len(group)} kernels for {target}, at most {most} registers, {found}")
    return lines


def _heading(one: Inspection) -> str:
    words = (one.spec, one.kernel, f"{one.launches}×", one.variant, f"{one.warps} warps {one.stages} stages")
    return " ".join(word for word in words if word)


def _cells(one: Inspection) -> tuple[str, ...]:
    return (
        one.target,
        str(one.registers),
        str(one.spills),
        str(one.shared),
        str(one.occupancy.blocks),
        one.occupancy.bound,
        _counted(one.matrix_instructions),
        _counted(one.copies),
        _highest(one.loads),
        _highest(one.stores),
    )


def _counted(names: Mapping[str, int]) -> str:
    return " ".join(f"{name}×{count}" for name, count in names.items()) or "-"


def _highest(found: Widths) -> str:
    for rank in ("tile", "vector"):
        if counts := found.counts.get(rank):
            return " ".join(f"{width}×{count}" for width, count in counts.items())
    return "scalars" if found.counts else "-"


def _row(cells: Sequence[str], sizes: Sequence[int]) -> str:
    aligned = [
        cell.rjust(size) if heading in _NUMBERS else cell.ljust(size)
        for heading, cell, size in zip(HEADINGS, cells, sizes, strict=True)
    ]
    return ("  " + "  ".join(aligned)).rstrip()


def _wrapped(text: str) -> list[str]:
    """The text in lines of the table's width, all but the first indented."""
    lines = [""]
    for word in text.split(" "):
        if len(lines[-1]) + len(word) >= WIDTH:
            lines.append("   ")
        lines[-1] += f" {word}" if lines[-1] else word
    return lines


def _to_names(found: Widths) -> dict[str, dict[str, int]]:
    return {rank: {str(width): count for width, count in counts.items()} for rank, counts in found.counts.items()}
