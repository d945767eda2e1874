"""What generated kernels are written in: where a program stands, loads and stores by tables of addresses, partial sums.

Values are in fp32 from load to store. A table has a row of three numbers for each matrix: the address, and the strides
of rows and columns in elements. Tiles are of the matrix as the spec sees it, (rows, cols); a tensor that is kept
(short, long) is transposed on its way, so that memory is touched along its rows. Sums over a matrix are stored in
parts, one for each program, and added up by a later launch: no atomics, and an order that only its shape decides.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from muondsl.runtime.triton_language import jit, tl


class Work(NamedTuple):
    """What one program does: blocks `begin` to `end` of a strip, `part` among all programs of its matrix."""

    matrix: Any
    strip: Any
    begin: Any
    end: Any
    segment: Any
    part: Any
    rows: Any
    cols: Any
    is_along_cols: Any


class TilePlace(NamedTuple):
    """A square of a matrix: its first row and column, and the numbers from zero to its side."""

    matrix: Any
    row: Any
    col: Any
    rows: Any
    cols: Any
    offsets: Any


class VectorPlace(NamedTuple):
    """A range of indices along one dimension of a matrix."""

    matrix: Any
    index: Any
    length: Any


class FlatPlace(NamedTuple):
    """A range of the elements of a parameter of any shape, which is folded to (rows, cols)."""

    matrix: Any
    index: Any
    numel: Any
    cols: Any


@jit
def runs_along_cols(rows: tl.tensor, cols: tl.tensor, AXIS: tl.constexpr) -> tl.tensor:
    """Whether the axis is that of the column index. In a square `long` is that of the row index."""
    if AXIS == "rows":
        return rows != rows
    elif AXIS == "short":
        return rows >= cols
    elif AXIS == "long":
        return rows < cols
    else:
        return rows == rows


@jit
def work_of(programs_ptr: tl.tensor, shapes_ptr: tl.tensor, AXIS: tl.constexpr, IS_ALIGNED: tl.constexpr) -> tl.tensor:
    """The work of this program, whose blocks follow each other along the axis: a dimension, or `flat`.

    Sizes that are multiples of 16 are known to be; one dimension is no longer than 32 bits can count, all elements are.
    """
    program = programs_ptr + 6 * tl.program_id(0)
    matrix = tl.load(program)
    rows = tl.load(shapes_ptr + 2 * matrix)
    cols = tl.load(shapes_ptr + 2 * matrix + 1)
    if AXIS != "flat":
        rows = rows.to(tl.int32)
        cols = cols.to(tl.int32)
        if IS_ALIGNED:
            rows = tl.multiple_of(rows, 16)
            cols = tl.multiple_of(cols, 16)
    return Work(
        matrix,
        tl.load(program + 1),
        tl.load(program + 2),
        tl.load(program + 3),
        tl.load(program + 4),
        tl.load(program + 5),
        rows,
        cols,
        runs_along_cols(rows, cols, AXIS),
    )


# Tiles of matrices.


@jit
def tile_at(work: tl.tensor, index: tl.tensor, BLOCK: tl.constexpr) -> tl.tensor:
    """The tile number `index` of the program's strip."""
    row = tl.where(work.is_along_cols, work.strip, index) * BLOCK
    col = tl.where(work.is_along_cols, index, work.strip) * BLOCK
    return TilePlace(work.matrix, row, col, work.rows, work.cols, tl.arange(0, BLOCK))


@jit
def indices_of(tile: tl.tensor) -> tl.tensor:
    """Row indices downwards, column indices across, and which pairs lie in the matrix."""
    row = (tile.row + tile.offsets)[:, None]
    col = (tile.col + tile.offsets)[None, :]
    return row, col, (row < tile.rows) & (col < tile.cols)


@jit
def indices_transposed(tile: tl.tensor) -> tl.tensor:
    """Column indices downwards, row indices across, and which pairs lie in the matrix."""
    col = (tile.col + tile.offsets)[:, None]
    row = (tile.row + tile.offsets)[None, :]
    return col, row, (row < tile.rows) & (col < tile.cols)


@jit
def within(value: tl.tensor, tile: tl.tensor, outside: tl.tensor) -> tl.tensor:
    """The value in the matrix, and `outside` where the tile reaches beyond it."""
    _row, _col, is_inside = indices_of(tile)
    return tl.where(is_inside, value, outside)


@jit
def address_of(table_ptr: tl.tensor, matrix: tl.tensor, DTYPE: tl.constexpr, IS_ALIGNED: tl.constexpr) -> tl.tensor:
    """The first element of a matrix."""
    address = tl.load(table_ptr + 3 * matrix).to(tl.pointer_type(DTYPE))
    if IS_ALIGNED:
        address = tl.multiple_of(address, 16)
    return address


@jit
def table_pointers(table_ptr: tl.tensor, tile: tl.tensor, DTYPE: tl.constexpr, IS_ALIGNED: tl.constexpr) -> tl.tensor:
    """Pointers to the elements of a tile and which of them exist."""
    address = address_of(table_ptr, tile.matrix, DTYPE, IS_ALIGNED)
    row, col, is_inside = indices_of(tile)
    if IS_ALIGNED:
        pointers = address + row.to(tl.int64) * tile.cols + col
    else:
        row_stride = tl.load(table_ptr + 3 * tile.matrix + 1)
        col_stride = tl.load(table_ptr + 3 * tile.matrix + 2)
        pointers = address + row.to(tl.int64) * row_stride + col.to(tl.int64) * col_stride
    return pointers, is_inside


@jit
def load_tile(table_ptr: tl.tensor, tile: tl.tensor, DTYPE: tl.constexpr, IS_ALIGNED: tl.constexpr) -> tl.tensor:
    """A tile of a tensor (rows, cols), zero outside of it."""
    pointers, is_inside = table_pointers(table_ptr, tile, DTYPE, IS_ALIGNED)
    return tl.load(pointers, mask=is_inside, other=0.0).to(tl.float32)


@jit
def store_tile(
    table_ptr: tl.tensor, tile: tl.tensor, value: tl.tensor, DTYPE: tl.constexpr, IS_ALIGNED: tl.constexpr
) -> None:
    """Writes a tile of a tensor (rows, cols)."""
    pointers, is_inside = table_pointers(table_ptr, tile, DTYPE, IS_ALIGNED)
    tl.store(pointers, value.to(DTYPE), mask=is_inside)


@jit
def oriented_pointers(
    table_ptr: tl.tensor, tile: tl.tensor, DTYPE: tl.constexpr, IS_TRANSPOSED: tl.constexpr
) -> tl.tensor:
    """Pointers into a workspace (short, long) along its rows, for a tile as it is or transposed, and which exist."""
    address = address_of(table_ptr, tile.matrix, DTYPE, True)
    leading = tl.multiple_of(tl.load(table_ptr + 3 * tile.matrix + 1), 16)
    if IS_TRANSPOSED:
        down, across, is_inside = indices_transposed(tile)
    else:
        down, across, is_inside = indices_of(tile)
    return address + down.to(tl.int64) * leading + across, is_inside


@jit
def load_oriented(table_ptr: tl.tensor, tile: tl.tensor, DTYPE: tl.constexpr) -> tl.tensor:
    """A tile of a workspace (short, long), zero outside of it."""
    # Names of one branch are none of the other's: their shapes would have to agree.
    if tile.rows > tile.cols:
        tall_pointers, is_inside_tall = oriented_pointers(table_ptr, tile, DTYPE, True)
        value = tl.trans(tl.load(tall_pointers, mask=is_inside_tall, other=0.0))
    else:
        wide_pointers, is_inside_wide = oriented_pointers(table_ptr, tile, DTYPE, False)
        value = tl.load(wide_pointers, mask=is_inside_wide, other=0.0)
    return value.to(tl.float32)


@jit
def store_oriented(table_ptr: tl.tensor, tile: tl.tensor, value: tl.tensor, DTYPE: tl.constexpr) -> None:
    """Writes a tile of a workspace (short, long)."""
    if tile.rows > tile.cols:
        tall_pointers, is_inside_tall = oriented_pointers(table_ptr, tile, DTYPE, True)
        tl.store(tall_pointers, tl.trans(value.to(DTYPE)), mask=is_inside_tall)
    else:
        wide_pointers, is_inside_wide = oriented_pointers(table_ptr, tile, DTYPE, False)
        tl.store(wide_pointers, value.to(DTYPE), mask=is_inside_wide)


# Vectors: one number for each index of a dimension.


@jit
def vector_at(work: tl.tensor, index: tl.tensor, BLOCK: tl.constexpr) -> tl.tensor:
    """The block number `index` of the program's axis."""
    length = tl.where(work.is_along_cols, work.cols, work.rows)
    return VectorPlace(work.matrix, index * BLOCK + tl.arange(0, BLOCK), length)


@jit
def side_of(tile: tl.tensor, AXIS: tl.constexpr) -> tl.tensor:
    """The indices of a tile along one dimension."""
    is_along_cols = runs_along_cols(tile.rows, tile.cols, AXIS)
    first = tl.where(is_along_cols, tile.col, tile.row)
    return VectorPlace(tile.matrix, first + tile.offsets, tl.where(is_along_cols, tile.cols, tile.rows))


@jit
def spread(value: tl.tensor, tile: tl.tensor, AXIS: tl.constexpr) -> tl.tensor:
    """A vector along one dimension, repeated along the other."""
    if runs_along_cols(tile.rows, tile.cols, AXIS):
        wide = tl.broadcast_to(value[None, :], (value.shape[0], value.shape[0]))
    else:
        wide = tl.broadcast_to(value[:, None], (value.shape[0], value.shape[0]))
    return wide


@jit
def vector_pointers(
    table_ptr: tl.tensor, vector: tl.tensor, DTYPE: tl.constexpr, IS_ALIGNED: tl.constexpr
) -> tl.tensor:
    """Pointers to the elements of a vector."""
    address = address_of(table_ptr, vector.matrix, DTYPE, IS_ALIGNED)
    if IS_ALIGNED:
        pointers = address + vector.index
    else:
        pointers = address + vector.index.to(tl.int64) * tl.load(table_ptr + 3 * vector.matrix + 1)
    return pointers


@jit
def load_vector(table_ptr: tl.tensor, vector: tl.tensor, DTYPE: tl.constexpr, IS_ALIGNED: tl.constexpr) -> tl.tensor:
    """A range of a vector, zero outside of it."""
    pointers = vector_pointers(table_ptr, vector, DTYPE, IS_ALIGNED)
    return tl.load(pointers, mask=vector.index < vector.length, other=0.0).to(tl.float32)


@jit
def store_vector(
    table_ptr: tl.tensor, vector: tl.tensor, value: tl.tensor, DTYPE: tl.constexpr, IS_ALIGNED: tl.constexpr
) -> None:
    """Writes a range of a vector."""
    pointers = vector_pointers(table_ptr, vector, DTYPE, IS_ALIGNED)
    tl.store(pointers, value.to(DTYPE), mask=vector.index < vector.length)


@jit
def load_spread(
    table_ptr: tl.tensor, tile: tl.tensor, AXIS: tl.constexpr, DTYPE: tl.constexpr, IS_ALIGNED: tl.constexpr
) -> tl.tensor:
    """A vector along one dimension as a tile."""
    return spread(load_vector(table_ptr, side_of(tile, AXIS), DTYPE, IS_ALIGNED), tile, AXIS)


@jit
def within_vector(value: tl.tensor, vector: tl.tensor, outside: tl.tensor) -> tl.tensor:
    """The value at indices that exist, and `outside` at the others."""
    return tl.where(vector.index < vector.length, value, outside)


# Scalars: one number for each matrix.


@jit
def shape_in_fp64(shapes_ptr: tl.tensor, matrix: tl.tensor) -> tl.tensor:
    """Rows and columns as numbers to compute with."""
    rows = tl.load(shapes_ptr + 2 * matrix).to(tl.float64)
    cols = tl.load(shapes_ptr + 2 * matrix + 1).to(tl.float64)
    return rows, cols


@jit
def step_of(steps_ptr: tl.tensor, matrix: tl.tensor) -> tl.tensor:
    """The number of the step, which counts from one, in fp64."""
    return tl.load(tl.load(steps_ptr + matrix).to(tl.pointer_type(tl.float32))).to(tl.float64)


@jit
def load_scalar(table_ptr: tl.tensor, matrix: tl.tensor, DTYPE: tl.constexpr) -> tl.tensor:
    return tl.load(address_of(table_ptr, matrix, DTYPE, False)).to(tl.float32)


@jit
def store_scalar(table_ptr: tl.tensor, matrix: tl.tensor, value: tl.tensor, DTYPE: tl.constexpr) -> None:
    tl.store(address_of(table_ptr, matrix, DTYPE, False), value.to(DTYPE))


# Parameters of any shape, element by element.


@jit
def flat_at(work: tl.tensor, index: tl.tensor, BLOCK: tl.constexpr, IS_ALIGNED: tl.constexpr) -> tl.tensor:
    """The block number `index` of a parameter."""
    numel = work.rows * work.cols
    if IS_ALIGNED:
        numel = tl.multiple_of(numel, 16)
    first = tl.multiple_of((tl.zeros((), tl.int64) + index) * BLOCK, BLOCK)
    return FlatPlace(work.matrix, first + tl.arange(0, BLOCK), numel, work.cols)


@jit
def flat_pointers(table_ptr: tl.tensor, flat: tl.tensor, DTYPE: tl.constexpr, IS_ALIGNED: tl.constexpr) -> tl.tensor:
    """Pointers to elements, which lie side by side where tensors are aligned."""
    address = address_of(table_ptr, flat.matrix, DTYPE, IS_ALIGNED)
    if IS_ALIGNED:
        pointers = address + flat.index
    else:
        row_stride = tl.load(table_ptr + 3 * flat.matrix + 1)
        col_stride = tl.load(table_ptr + 3 * flat.matrix + 2)
        pointers = address + (flat.index // flat.cols) * row_stride + (flat.index % flat.cols) * col_stride
    return pointers


@jit
def load_flat(table_ptr: tl.tensor, flat: tl.tensor, DTYPE: tl.constexpr, IS_ALIGNED: tl.constexpr) -> tl.tensor:
    """Elements of a parameter, zero beyond its end."""
    pointers = flat_pointers(table_ptr, flat, DTYPE, IS_ALIGNED)
    return tl.load(pointers, mask=flat.index < flat.numel, other=0.0).to(tl.float32)


@jit
def store_flat(
    table_ptr: tl.tensor, flat: tl.tensor, value: tl.tensor, DTYPE: tl.constexpr, IS_ALIGNED: tl.constexpr
) -> None:
    """Writes elements of a parameter."""
    pointers = flat_pointers(table_ptr, flat, DTYPE, IS_ALIGNED)
    tl.store(pointers, value.to(DTYPE), mask=flat.index < flat.numel)


@jit
def within_flat(value: tl.tensor, flat: tl.tensor, outside: tl.tensor) -> tl.tensor:
    """The value at elements that exist, and `outside` at the others."""
    return tl.where(flat.index < flat.numel, value, outside)
