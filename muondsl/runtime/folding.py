"""Parameters of any shape as two dimensions, in which all their tensors have strides."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Fold:
    """The sizes that kernels see and the strides of each tensor. `is_dense`: elements lie side by side in all tensors,
    in the same order.
    """

    rows: int
    cols: int
    strides: tuple[tuple[int, int], ...]
    is_dense: bool


def fold(tensors: Sequence[Tensor]) -> Fold | None:
    """The tensors, all of one shape, as (rows, cols); None where they do not lie in two dimensions."""
    shape = tensors[0].shape
    dims = [dim for dim, size in enumerate(shape) if size != 1]
    sizes = [shape[dim] for dim in dims]
    strides = [[tensor.stride(dim) for dim in dims] for tensor in tensors]
    numel = math.prod(sizes)
    if all(each == strides[0] for each in strides) and _is_dense(sizes, strides[0]):
        return Fold(1, numel, ((numel, 1),) * len(tensors), is_dense=True)
    for split in range(len(sizes), -1, -1):
        outer = [_stride(sizes[:split], each[:split]) for each in strides]
        inner = [_stride(sizes[split:], each[split:]) for each in strides]
        found = tuple((row, col) for row, col in zip(outer, inner, strict=True) if row is not None and col is not None)
        if len(found) == len(tensors):
            return Fold(math.prod(sizes[:split]), math.prod(sizes[split:]), found, is_dense=False)
    return None


def _is_dense(sizes: Sequence[int], strides: Sequence[int]) -> bool:
    expected = 1
    for stride, size in sorted(zip(strides, sizes, strict=True)):
        if stride != expected:
            return False
        expected *= size
    return True


def _stride(sizes: Sequence[int], strides: Sequence[int]) -> int | None:
    """The step from one element to the next where dimensions are counted as one; None where it is not the same."""
    if not sizes:
        return 0
    pairs = zip(sizes[1:], strides[1:], strides[:-1], strict=True)
    return strides[-1] if all(before == size * stride for size, stride, before in pairs) else None
