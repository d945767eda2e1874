"""How kernels store a parameter: rounded to the nearest, beside its master, or rounded at random."""

from __future__ import annotations

from muondsl.runtime.elementwise import indices_of, store_flat, store_tile
from muondsl.runtime.triton_language import jit, tl


@jit
def store_parameter(
    table_ptr: tl.tensor,
    rounding_ptr: tl.tensor,
    keys_ptr: tl.tensor,
    tile: tl.tensor,
    value: tl.tensor,
    DTYPE: tl.constexpr,
    ROUNDING: tl.constexpr,
    IS_ALIGNED: tl.constexpr,
) -> None:
    """Writes a tile of a parameter, or of its master and in `bf16` or `fp16` of the parameter itself, whose table is
    `rounding_ptr` then. `random`, that table holds numbers of elements in the place of addresses.
    """
    if ROUNDING == "random":
        row, col, _is_inside = indices_of(tile)
        value = rounded_by_chance(value, rounding_ptr, keys_ptr, tile.matrix, row.to(tl.int64), col.to(tl.int64))
    store_tile(table_ptr, tile, value, DTYPE, IS_ALIGNED)
    if ROUNDING == "bf16":
        store_tile(rounding_ptr, tile, value, tl.bfloat16, IS_ALIGNED)
    elif ROUNDING == "fp16":
        store_tile(rounding_ptr, tile, value, tl.float16, IS_ALIGNED)


@jit
def store_flat_parameter(
    table_ptr: tl.tensor,
    rounding_ptr: tl.tensor,
    keys_ptr: tl.tensor,
    flat: tl.tensor,
    value: tl.tensor,
    DTYPE: tl.constexpr,
    ROUNDING: tl.constexpr,
    IS_ALIGNED: tl.constexpr,
) -> None:
    """The same for elements of a parameter of any shape."""
    if ROUNDING == "random":
        row, col = flat.index // flat.cols, flat.index % flat.cols
        value = rounded_by_chance(value, rounding_ptr, keys_ptr, flat.matrix, row, col)
    store_flat(table_ptr, flat, value, DTYPE, IS_ALIGNED)
    if ROUNDING == "bf16":
        store_flat(rounding_ptr, flat, value, tl.bfloat16, IS_ALIGNED)
    elif ROUNDING == "fp16":
        store_flat(rounding_ptr, flat, value, tl.float16, IS_ALIGNED)


@jit
def rounded_by_chance(
    value: tl.tensor,
    elements_ptr: tl.tensor,
    keys_ptr: tl.tensor,
    matrix: tl.tensor,
    row: tl.tensor,
    col: tl.tensor,
) -> tl.tensor:
    """As `rounded_at_random`, in fp32. Keys are the seed, the parameter's number, and the address of its step's."""
    place = elements_ptr + 3 * matrix
    element = tl.load(place) + row * tl.load(place + 1) + col * tl.load(place + 2)
    key = keys_ptr + 3 * matrix
    number = tl.load(key + 1).to(tl.int32)
    step = tl.load(tl.load(key + 2).to(tl.pointer_type(tl.float32))).to(tl.int32)
    word, _1, _2, _3 = tl.philox(tl.load(key), element.to(tl.int32), (element >> 32).to(tl.int32), step, number)
    bits = value.to(tl.int32, bitcast=True)
    raised = ((bits + (word >> 16).to(tl.int32)) & -65536).to(tl.float32, bitcast=True)
    return tl.where((bits & 0x7F800000) != 0x7F800000, raised, value)
