"""How the work of a launch is divided among programs: a table with one row for each, read by `work_of`.

A division is decided by the shape of a matrix alone, so that no result depends on what else is in the batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Axis = Literal["rows", "cols", "short", "long"]

TILE, VECTOR, FLAT = 64, 1024, 1024
"""The side of a tile, and how many elements of a vector or of a parameter of any shape are one block."""

TILE_THREADS, RANGE_THREADS = 256, 128
"""16 elements of a tile for each thread, and 8 of a range: in fp32 four loads and two of 16 bytes from each tensor."""


MOST_PARTS, MOST_SEGMENTS, MOST_PROGRAMS = 1024, 8, 4096
"""Of a reduction over a whole matrix; of one along an axis; of a matrix, where nothing is reduced."""


def warps_of(block: int, architecture: str) -> int:
    """The warps of a program that works on blocks of this size; those of AMD have 64 threads."""
    threads = TILE_THREADS if block == TILE else RANGE_THREADS
    return threads // (64 if architecture.startswith("gfx") else 32)


@dataclass(frozen=True, slots=True)
class Division:
    """`strips` of `blocks` each, every strip cut into `segments`: one program for each segment."""

    strips: int
    blocks: int
    segments: int

    @property
    def programs(self) -> int:
        return self.strips * self.segments


def length_along(rows: int, cols: int, axis: Axis) -> int:
    """The number of indices along an axis; in a square `long` is that of the rows, as in `State.sizes`."""
    return {"rows": rows, "cols": cols, "short": min(rows, cols), "long": max(rows, cols)}[axis]


def divide_tiles(rows: int, cols: int, walk: Axis, *, has_whole: bool, has_along: bool) -> Division:
    """Tiles follow each other along the axis that is walked."""
    walked = length_along(rows, cols, walk)
    strips, blocks = -(-(rows * cols // walked) // TILE), -(-walked // TILE)
    most = MOST_SEGMENTS if has_along else max(1, (MOST_PARTS if has_whole else MOST_PROGRAMS) // strips)
    return Division(strips, blocks, min(blocks, most))


def divide_range(length: int, block: int, *, has_whole: bool) -> Division:
    """Blocks of a vector or of a parameter of any shape."""
    blocks = -(-length // block)
    return Division(1, blocks, min(blocks, MOST_PARTS if has_whole else MOST_PROGRAMS))


def program_table(matrices: Sequence[int], divisions: Iterable[Division]) -> Tensor:
    """int32 (programs, 6): matrix, strip, first block, end of its blocks, segment, part."""
    columns = [(each.strips, each.blocks, each.segments) for each in divisions]
    strips, blocks, segments = torch.tensor(columns, dtype=torch.int64, device="cpu").unbind(1)
    counts = strips * segments
    owner = torch.repeat_interleave(torch.arange(len(columns), device="cpu"), counts)
    part = torch.arange(len(owner), device="cpu") - (counts.cumsum(0) - counts)[owner]
    cuts = segments[owner]
    segment = part % cuts
    begin, end = segment * blocks[owner] // cuts, (segment + 1) * blocks[owner] // cuts
    matrix = torch.tensor(matrices, dtype=torch.int64, device="cpu")[owner]
    return torch.stack([matrix, part // cuts, begin, end, segment, part], dim=1).to(torch.int32)
