"""The logical matrices in a stored tensor, which are what is orthogonalised, reduced and scaled."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from muondsl.runtime.vocabulary import VIEW_STEPS, wrong_numbers


@dataclass(frozen=True, slots=True)
class Block:
    """Where one logical matrix lies in a stored tensor, in elements."""

    offset: int
    sizes: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class View:
    """Steps, each with its numbers, which together make matrices of a tensor. Without any, the tensor is the matrix.

    `flatten`: all dimensions but the first are one. `batch`: a matrix for each index of all dimensions but the last
    two. `split(n)`: n blocks of as many rows each; `split(a, b, …)`: blocks of a, b, … rows. `heads(n)`: n blocks, one
    a head. `transpose`: stored as [inputs, outputs].
    """

    steps: tuple[tuple[str, tuple[int, ...]], ...] = ()

    @classmethod
    def parse(cls, text: str) -> View:
        """`"transpose, split(3)"`. Raises ValueError for what is no view."""
        found = _STEPS.fullmatch(text)
        if not found:
            raise ValueError(f"a view should read like 'flatten' or 'transpose, split(3)' but is: {text!r}")
        steps = []
        for name, numbers in _STEP.findall(text):
            arguments = tuple(int(number) for number in numbers.split(",")) if numbers else ()
            if name not in VIEW_STEPS:
                raise ValueError(f"the steps of a view are {', '.join(VIEW_STEPS)}; {text!r} has {name!r}")
            if problem := wrong_numbers(name, arguments):
                raise ValueError(f"in the view {text!r}, {problem}")
            steps.append((name, arguments))
        return cls(tuple(steps))

    def __str__(self) -> str:
        return ", ".join(f"{name}({', '.join(map(str, numbers))})" if numbers else name for name, numbers in self.steps)

    def matrices(self, tensor: Tensor) -> list[Tensor]:
        """The matrices, of the memory of the tensor. Raises ValueError for a tensor that the view does not fit, and
        RuntimeError for one in whose memory they have no strides.
        """
        parts = [tensor]
        for name, numbers in self.steps:
            parts = [matrix for part in parts for matrix in _MEANINGS[name](part, numbers)]
        if any(part.ndim != 2 for part in parts):
            how = f"the view {str(self)!r} leaves" if self.steps else "no view says what matrices are in its"
            raise ValueError(f"{how} {parts[0].ndim} dimensions")
        return parts

    def shapes(self, shape: Sequence[int]) -> tuple[tuple[int, int], ...]:
        """Rows and columns of each matrix. Raises ValueError where the view does not fit."""
        return _logical_shapes(self, tuple(shape))

    def blocks(self, shape: Sequence[int], strides: Sequence[int]) -> tuple[Block, ...] | None:
        """Where the matrices lie in a tensor of these strides; None where one has none of its own."""
        return _blocks(self, tuple(shape), tuple(strides))


PLAIN_VIEW = View()


def _flatten(tensor: Tensor, _: Sequence[int]) -> list[Tensor]:
    if tensor.ndim < 2:
        raise ValueError(f"flatten needs two dimensions or more, and there are {tensor.ndim}")
    return [tensor.view(tensor.shape[0], math.prod(tensor.shape[1:]))]


def _batch(tensor: Tensor, _: Sequence[int]) -> list[Tensor]:
    if tensor.ndim < 3:
        raise ValueError(f"batch needs three dimensions or more, and there are {tensor.ndim}")
    parts = [tensor]
    for _dim in range(tensor.ndim - 2):
        parts = [each for part in parts for each in part.unbind(0)]
    return parts


def _split(tensor: Tensor, numbers: Sequence[int]) -> list[Tensor]:
    if tensor.ndim != 2:
        raise ValueError(f"a matrix is split by rows, but there are {tensor.ndim} dimensions: flatten or batch first")
    rows, count = tensor.shape[0], numbers[0]
    if len(numbers) == 1 and rows % count:
        raise ValueError(f"{rows} rows do not make {count} blocks of as many")
    if len(numbers) > 1 and sum(numbers) != rows:
        raise ValueError(f"blocks of {', '.join(map(str, numbers))} rows are {sum(numbers)}, but there are {rows}")
    return list(tensor.split([rows // count] * count if len(numbers) == 1 else list(numbers)))


def _transpose(tensor: Tensor, _: Sequence[int]) -> list[Tensor]:
    if tensor.ndim != 2:
        raise ValueError(f"a matrix is transposed, but there are {tensor.ndim} dimensions: flatten or batch first")
    return [tensor.t()]


_MEANINGS: dict[str, Callable[[Tensor, Sequence[int]], list[Tensor]]] = {
    "flatten": _flatten,
    "batch": _batch,
    "split": _split,
    "heads": _split,
    "transpose": _transpose,
}
_NUMBERS = r"\(\s*(\d+(?:\s*,\s*\d+)*)\s*\)"
_STEP = re.compile(rf"([a-z_]+)\s*(?:{_NUMBERS})?")
_STEPS = re.compile(rf"\s*{_STEP.pattern}(?:\s*,\s*{_STEP.pattern})*\s*")


@lru_cache(maxsize=4096)
def _logical_shapes(view: View, shape: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    return tuple((part.shape[0], part.shape[1]) for part in view.matrices(torch.empty(shape, device="meta")))


@lru_cache(maxsize=4096)
def _blocks(view: View, shape: tuple[int, ...], strides: tuple[int, ...]) -> tuple[Block, ...] | None:
    try:
        return blocks_of(view.matrices(torch.empty_strided(shape, strides, device="meta")))
    except RuntimeError:
        return None


def blocks_of(parts: Sequence[Tensor]) -> tuple[Block, ...]:
    """Where parts of one tensor, which begins where its memory does, lie in it."""
    return tuple(Block(int(part.storage_offset()), tuple(part.shape), part.stride()) for part in parts)


class WorkedMatrices:
    """The matrices of a tensor with their elements side by side: its own memory where they lie so, else copies, which
    `write_back` brings home.
    """

    def __init__(self, view: View, tensor: Tensor) -> None:
        self._tensor = tensor
        is_plain = view.blocks(tensor.shape, tensor.stride()) is not None
        self._laid = tensor if is_plain else tensor.contiguous()
        self._parts = view.matrices(self._laid)
        self.matrices = [part.contiguous() for part in self._parts]

    def write_back(self) -> None:
        for part, matrix in zip(self._parts, self.matrices, strict=True):
            if matrix is not part:
                part.copy_(matrix)
        if self._laid is not self._tensor:
            self._tensor.copy_(self._laid)
