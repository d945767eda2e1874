"""Tiles of matrix products on each architecture, and what they cost.

Each was chosen by compiling ahead of time and reading the binary: none spills, bf16 and fp16 use the newest tensor
instruction there is, and two blocks share a multiprocessor everywhere but for plain products on sm_80; on sm_90 with
at most 96 registers and 96 KiB of shared memory. `tests/triton/test_binaries.py` holds them to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

Architecture = Literal["sm_80", "sm_90", "sm_100", "gfx942"]

ARCHITECTURES: tuple[Architecture, ...] = ("sm_80", "sm_90", "sm_100", "gfx942")


@dataclass(frozen=True, slots=True)
class Tile:
    """How a product is cut: a program computes block_m × block_n elements, block_k products at a time.

    `splits_diagonal`: a symmetric product computes those of its tiles that the diagonal crosses, or that lie with half
    of them outside, in pieces of half the sides, and only the pieces that are needed. `registers` is a limit that the
    compiler keeps without spilling, where left to itself it takes more for nothing.
    """

    block_m: int
    block_n: int
    block_k: int
    warps: int
    stages: int
    uses_descriptors: bool = False
    splits_diagonal: bool = False
    registers: int | None = None

    def with_pointers(self) -> Tile:
        """The same tile for operands that descriptors cannot describe."""
        return replace(self, uses_descriptors=False, registers=None)


@dataclass(frozen=True, slots=True)
class Tiles:
    """The tiles of one architecture: for symmetric products, for all others, and for both where the result is small."""

    symmetric: Tile
    plain: Tile
    small: Tile


@dataclass(frozen=True, slots=True)
class TileTable:
    """The tiles of every architecture, for operands of one number format. Generated modules hold the one they use."""

    sm_80: Tiles
    sm_90: Tiles
    sm_100: Tiles
    gfx942: Tiles

    def of(self, architecture: Architecture) -> Tiles:
        found: Tiles = getattr(self, architecture)
        return found


@dataclass(frozen=True, slots=True)
class SmallBlock:
    """How the kernel for small matrices cuts the long side."""

    long: int
    warps: int
    stages: int


@dataclass(frozen=True, slots=True)
class Program:
    """The tile at (row, col), of half the sides if `is_half`."""

    row: int
    col: int
    is_half: bool = False


SYMMETRIC: dict[Architecture, Tile] = {
    "sm_80": Tile(128, 128, 32, warps=8, stages=4, splits_diagonal=True, registers=128),
    "sm_90": Tile(128, 128, 64, warps=8, stages=3, uses_descriptors=True, splits_diagonal=True),
    "sm_100": Tile(128, 128, 64, warps=8, stages=3, uses_descriptors=True, splits_diagonal=True),
    "gfx942": Tile(128, 128, 64, warps=4, stages=2, splits_diagonal=True),
}
"""For symmetric products of bf16 and fp16."""

PLAIN: dict[Architecture, Tile] = {
    "sm_80": Tile(128, 128, 32, warps=8, stages=4),
    "sm_90": Tile(128, 128, 64, warps=8, stages=3, uses_descriptors=True, registers=96),
    "sm_100": Tile(128, 128, 64, warps=8, stages=3, uses_descriptors=True),
    "gfx942": Tile(128, 128, 64, warps=4, stages=2),
}
"""For all other products of bf16 and fp16."""

SMALL: dict[Architecture, Tile] = {
    "sm_80": Tile(64, 64, 32, warps=4, stages=4),
    "sm_90": Tile(64, 64, 64, warps=4, stages=3, uses_descriptors=True),
    "sm_100": Tile(64, 64, 64, warps=4, stages=3, uses_descriptors=True),
    "gfx942": Tile(64, 64, 64, warps=4, stages=2),
}
"""For products of bf16 and fp16 that larger tiles would cut into a handful."""

SINGLE: dict[Architecture, Tile] = {
    "sm_80": Tile(64, 64, 16, warps=8, stages=3),
    "sm_90": Tile(64, 64, 16, warps=8, stages=3),
    "sm_100": Tile(64, 64, 16, warps=8, stages=3),
    "gfx942": Tile(64, 64, 16, warps=4, stages=2),
}
"""For products of fp32, which no tensor instruction computes as exactly as fp32 is."""

_SMALL_BLOCKS = {
    16: SmallBlock(128, warps=4, stages=2),
    32: SmallBlock(64, warps=4, stages=2),
    64: SmallBlock(128, warps=8, stages=2),
    128: SmallBlock(64, warps=8, stages=2),
}
_SMALL_BLOCKS_OF_64_LANES = {
    16: SmallBlock(128, warps=2, stages=2),
    32: SmallBlock(64, warps=2, stages=2),
    64: SmallBlock(128, warps=4, stages=2),
    128: SmallBlock(64, warps=8, stages=2),
}
_SMALL_BLOCKS_OF_FP32 = {16: SmallBlock(32, warps=4, stages=1), 32: SmallBlock(32, warps=4, stages=1)}


def small_block(architecture: str, dtype: str, block_short: int) -> SmallBlock:
    """For a matrix that is iterated in one launch, of a short side of at most `block_short`: a power of two."""
    if dtype == "float32":
        return _SMALL_BLOCKS_OF_FP32[block_short]
    return (_SMALL_BLOCKS_OF_64_LANES if architecture.startswith("gfx") else _SMALL_BLOCKS)[block_short]


def longest_small(dtype: str) -> int:
    """The longest short side that is iterated in one launch without spilling.

    Products of fp32 without tensor instructions keep whole rows of both operands in registers: 32 is what fits.
    """
    return 32 if dtype == "float32" else 128


def known_architecture(name: str) -> Architecture:
    """The architecture of the tables whose code runs on `name`: an `sm_…` or `gfx…` as compilers spell it."""
    if name.startswith("gfx"):
        return "gfx942"
    # 90 and 10x have matrix units of their own; all others, 12x among them, run what sm_80 does.
    number = int("".join(filter(str.isdigit, name)))
    if number == 90:
        return "sm_90"
    return "sm_100" if 100 <= number < 120 else "sm_80"


def usual_tiles(dtype: str) -> TileTable:
    """The tiles that a module is compiled with."""
    is_single = dtype == "float32"

    def tiles(architecture: Architecture) -> Tiles:
        if is_single:
            return Tiles(SINGLE[architecture], SINGLE[architecture], SINGLE[architecture])
        return Tiles(SYMMETRIC[architecture], PLAIN[architecture], SMALL[architecture])

    return TileTable(*(tiles(architecture) for architecture in ARCHITECTURES))


@lru_cache(maxsize=4096)
def tile_programs(m: int, n: int, tile: Tile, is_symmetric: bool) -> tuple[Program, ...]:
    """The programs of an m × n product, in their order: eight rows of tiles at a time, column by column, so that what
    is in flight together shares rows and columns of the operands in the cache; then the tiles of half the sides.
    """
    whole = [
        Program(row * tile.block_m, col * tile.block_n)
        for first in range(0, -(-m // tile.block_m), 8)
        for col in range(-(-n // tile.block_n))
        for row in range(first, min(first + 8, -(-m // tile.block_m)))
        if not is_symmetric or row * tile.block_m >= col * tile.block_n
    ]
    if not (is_symmetric and tile.splits_diagonal):
        return tuple(whole)
    is_cut = [
        program.row == program.col or m - program.row <= tile.block_m // 2 or n - program.col <= tile.block_n // 2
        for program in whole
    ]
    return (
        *(program for program, cut in zip(whole, is_cut, strict=True) if not cut),
        *(half for program, cut in zip(whole, is_cut, strict=True) if cut for half in _halves(program, m, n, tile)),
    )


def _halves(program: Program, m: int, n: int, tile: Tile) -> Iterator[Program]:
    """The quarters of a tile that lie inside the matrix and not above the diagonal."""
    for row in (program.row, program.row + tile.block_m // 2):
        for col in (program.col, program.col + tile.block_n // 2):
            if col <= row < m and col < n:
                yield Program(row, col, is_half=True)


def symmetric_fraction(side: int, tile: Tile) -> float:
    """What a symmetric product computes of all tiles: (t + 1) / 2t of t a side, with half tiles as if t were double."""
    whole = len(tile_programs(side, side, tile, False))
    return sum(0.25 if program.is_half else 1.0 for program in tile_programs(side, side, tile, True)) / whole
