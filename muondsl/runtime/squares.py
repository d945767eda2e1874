"""Tiles of squares: Gram matrices, whose rows and columns are one dimension of the parameter."""

from __future__ import annotations

from muondsl.runtime.elementwise import TilePlace, Work, load_oriented, runs_along_cols, work_of
from muondsl.runtime.triton_language import jit, tl


@jit
def work_of_square(
    programs_ptr: tl.tensor, shapes_ptr: tl.tensor, SIDE: tl.constexpr, AXIS: tl.constexpr, IS_ALIGNED: tl.constexpr
) -> tl.tensor:
    """The work of this program on a square of that side, whose tiles follow each other along `rows` or `cols`."""
    work = work_of(programs_ptr, shapes_ptr, AXIS, IS_ALIGNED)
    if SIDE == "rows":
        size = work.rows
    elif SIDE == "cols":
        size = work.cols
    else:
        size = tl.minimum(work.rows, work.cols)
    along_cols = runs_along_cols(size, size, AXIS)
    return Work(work.matrix, work.strip, work.begin, work.end, work.segment, work.part, size, size, along_cols)


@jit
def load_transposed(table_ptr: tl.tensor, tile: tl.tensor, DTYPE: tl.constexpr) -> tl.tensor:
    """A tile of the transpose of a square."""
    opposite = TilePlace(tile.matrix, tile.col, tile.row, tile.cols, tile.rows, tile.offsets)
    return tl.trans(load_oriented(table_ptr, opposite, DTYPE))
