"""What an operation of torch does, from its schema and the tensors that it takes and yields."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload

aten = torch.ops.aten

LEFT_FACTORS = {aten.mm: 0, aten.bmm: 0, aten.mv: 0, aten.dot: 0, aten.addmm: 1, aten.baddbmm: 1, aten.addmv: 1}
"""Products of matrices, with the place of the left factor among the arguments; the right one is behind it."""

OVERWRITING = {aten.copy_, aten.fill_, aten.zero_, aten._foreach_copy_, aten._foreach_zero_}
"""Operations in place that do not read what they write to."""

IDLE = {aten.empty, aten.empty_like, aten.empty_strided, aten.new_empty, aten.new_empty_strided, aten._unsafe_view}
"""Those that neither read nor write elements, beside views."""

LIBRARY = {aten._linalg_svd, aten.linalg_solve_triangular, aten.kthvalue, aten.linalg_qr, aten._linalg_eigh}
"""Functions of whole matrices, of which no peak is known."""


@dataclass(frozen=True, slots=True)
class Work:
    """`flops` are those of products of matrices, multiplications and additions, in the format of the factors; others
    are not counted. `bytes` are read and written, each tensor once. `has_peak`: whether one is known.
    """

    flops: int
    bytes: int
    dtype: torch.dtype | None = None
    has_peak: bool = True


def work_of(function: OpOverload, arguments: Sequence[Any], named: Mapping[str, Any], result: object) -> Work:
    """The work of one call."""
    packet = function.overloadpacket
    moved = 0 if packet in IDLE else _moved(_uses(function), arguments, named, result)
    if packet not in LEFT_FACTORS:
        return Work(0, moved, has_peak=packet not in LIBRARY)
    place = LEFT_FACTORS[packet]
    left, right = arguments[place : place + 2]
    columns = right.shape[-1] if right.ndim > 1 else 1
    return Work(2 * left.numel() * columns, moved, left.dtype)


@dataclass(frozen=True, slots=True)
class Use:
    """What happens to an argument."""

    name: str
    is_read: bool
    is_written: bool


@cache
def _uses(function: OpOverload) -> tuple[Use, ...]:
    """Of each argument; none of a view."""
    if any(each.alias_info is not None and not each.alias_info.is_write for each in function._schema.returns):
        return ()
    uses: list[Use] = []
    for each in function._schema.arguments:
        is_written = each.alias_info is not None and each.alias_info.is_write
        is_overwritten = is_written and (each.is_out or function.overloadpacket in OVERWRITING)
        uses.append(Use(each.name, is_read=not is_overwritten, is_written=is_written))
    return tuple(uses)


def _moved(uses: Sequence[Use], arguments: Sequence[Any], named: Mapping[str, Any], result: object) -> int:
    read: list[Tensor] = []
    written: list[Tensor] = []
    for number, use in enumerate(uses):
        value = arguments[number] if number < len(arguments) else named.get(use.name)
        if isinstance(value, (Tensor, list, tuple)):
            tensors = list(_tensors(value))
            read += tensors if use.is_read else []
            written += tensors if use.is_written else []
    return _bytes(read) + _bytes(written or _tensors(result)) if uses else 0


def _tensors(value: object) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _tensors(each)


def _bytes(tensors: Iterable[Tensor]) -> int:
    """Those of elements in memory: of a matrix and its transpose once, of a repeated row once."""
    places = {(each.data_ptr(), _elements(each)): each.itemsize * _elements(each) for each in tensors}
    return sum(places.values())


def _elements(tensor: Tensor) -> int:
    return prod(size for size, stride in zip(tensor.shape, tensor.stride(), strict=True) if stride or size < 2)
