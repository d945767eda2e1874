"""Reductions in two launches: every program stores what it has gathered, a later launch joins the parts in order.

A table of parts has a row for each matrix: the address, the number of parts, and the length of each (one number, or one
for each index of the dimension that is left). `KIND` is `sum`, `max` or `min`; a NaN stays one in all of them.
"""

from __future__ import annotations

from muondsl.runtime.arithmetic import maximum, minimum
from muondsl.runtime.triton_language import jit, tl


@jit
def joined(one: tl.tensor, other: tl.tensor, KIND: tl.constexpr) -> tl.tensor:
    if KIND == "sum":
        return one + other
    elif KIND == "max":
        return maximum(one, other)
    else:
        return minimum(one, other)


@jit
def reduced(value: tl.tensor, AXIS: tl.constexpr, KIND: tl.constexpr) -> tl.tensor:
    if KIND == "sum":
        return tl.sum(value, AXIS)
    elif KIND == "max":
        return tl.reduce(value, AXIS, maximum)
    else:
        return tl.reduce(value, AXIS, minimum)


@jit
def nothing(KIND: tl.constexpr) -> tl.tensor:
    """What changes nothing when it is joined."""
    if KIND == "sum":
        return 0.0
    elif KIND == "max":
        return float("-inf")
    else:
        return float("inf")


@jit
def store_whole(parts_ptr: tl.tensor, work: tl.tensor, value: tl.tensor, KIND: tl.constexpr) -> None:
    """Stores this program's part of a reduction over a whole matrix."""
    address = tl.load(parts_ptr + 3 * work.matrix).to(tl.pointer_type(tl.float32))
    tl.store(address + work.part, reduced(value, None, KIND))


@jit
def load_whole(parts_ptr: tl.tensor, matrix: tl.tensor, KIND: tl.constexpr) -> tl.tensor:
    """A reduction over a whole matrix, joined from its parts."""
    address = tl.load(parts_ptr + 3 * matrix).to(tl.pointer_type(tl.float32))
    count = tl.load(parts_ptr + 3 * matrix + 1)
    gathered = tl.full((256,), nothing(KIND), tl.float32)
    for first in range(0, count, 256):
        index = first + tl.arange(0, 256)
        gathered = joined(gathered, tl.load(address + index, mask=index < count, other=nothing(KIND)), KIND)
    return reduced(gathered, 0, KIND)


@jit
def store_along(parts_ptr: tl.tensor, work: tl.tensor, value: tl.tensor, KIND: tl.constexpr) -> None:
    """Stores this program's part of a reduction along the axis of its work, one number for each index of the other."""
    address = tl.multiple_of(tl.load(parts_ptr + 3 * work.matrix).to(tl.pointer_type(tl.float32)), 16)
    length = tl.where(work.is_along_cols, work.rows, work.cols)
    if work.is_along_cols:
        gathered = reduced(value, 1, KIND)
    else:
        gathered = reduced(value, 0, KIND)
    index = work.strip * value.shape[0] + tl.arange(0, value.shape[0])
    pointers = address + work.segment.to(tl.int64) * tl.load(parts_ptr + 3 * work.matrix + 2) + index
    tl.store(pointers, gathered, mask=index < length)


@jit
def load_along(parts_ptr: tl.tensor, vector: tl.tensor, KIND: tl.constexpr) -> tl.tensor:
    """A reduction along one dimension at the indices of the other, joined from its parts; zero outside of it."""
    address = tl.multiple_of(tl.load(parts_ptr + 3 * vector.matrix).to(tl.pointer_type(tl.float32)), 16)
    count = tl.load(parts_ptr + 3 * vector.matrix + 1)
    length = tl.multiple_of(tl.load(parts_ptr + 3 * vector.matrix + 2), 16)
    is_inside = vector.index < vector.length
    gathered = tl.load(address + vector.index, mask=is_inside, other=0.0)
    for segment in range(1, count):
        part = tl.load(address + segment * length + vector.index, mask=is_inside, other=0.0)
        gathered = joined(gathered, part, KIND)
    return gathered
