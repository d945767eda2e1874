"""The tile of a product, and whether symmetry pays: by its own shape, whatever shares its launch."""

from __future__ import annotations

from muondsl.runtime.tiles import Tile, TileTable, known_architecture, tile_programs, usual_tiles
from muondsl.runtime.tuned_tiles import tuned_tiles

SMALL_SIDE = 256
"""Products up to this side are cut into blocks of 64: of 128 there would be four or fewer, on more than a hundred
multiprocessors."""

HALF_COST = 0.4
"""A tile of half the sides in units of a whole one: a quarter of the arithmetic, half the reuse of what is loaded."""

STORE_COST = 4.0
"""Reading an addend and storing a tile, in units of one step of the loop over k. A mirrored tile stores once more."""


def product_tile(
    architecture: str, dtype: str, *, is_symmetric: bool, side: int, tiles: TileTable | None = None
) -> Tile:
    """The tile of a product whose result's shorter side is `side`, of operands of a `dtype` named as torch names it.

    What `muondsl tune` measured comes before `tiles`, and these before the usual ones.
    """
    known = known_architecture(architecture)
    tuned = tuned_tiles().find(known, dtype, is_symmetric=is_symmetric, side=side)
    if tuned is not None:
        return tuned
    chosen = (tiles or usual_tiles(dtype)).of(known)
    if side <= SMALL_SIDE:
        return chosen.small
    return chosen.symmetric if is_symmetric else chosen.plain


def prefers_symmetric(side: int, k: int, architecture: str, dtype: str, tiles: TileTable | None = None) -> bool:
    """Whether a side × side product over k with a symmetric result is faster computed by halves and mirrored.

    The machine is taken as full, so that time is the sum of the tiles' times: steps of the loop over k, and the
    epilogue in units of steps. Halves save steps and pay for a transposition and a second store of each tile.
    """
    symmetric = product_tile(architecture, dtype, is_symmetric=True, side=side, tiles=tiles)
    plain = product_tile(architecture, dtype, is_symmetric=False, side=side, tiles=tiles)
    steps = -(-k // plain.block_k)
    programs = tile_programs(side, side, symmetric, True)
    weights = sum(HALF_COST if program.is_half else 1.0 for program in programs)
    mirrored = sum(HALF_COST if program.is_half else 1.0 for program in programs if program.row != program.col)
    symmetric_time = weights * (steps + STORE_COST) + mirrored * STORE_COST / 2
    return symmetric_time < len(tile_programs(side, side, plain, False)) * (steps + STORE_COST)
