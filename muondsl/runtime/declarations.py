"""What a generated class says of itself: its hypers, its states, the checkpoints it understands."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import SupportsFloat

import torch
from torch import Tensor

from muondsl.runtime.amp import loaded_gradient
from muondsl.runtime.views import View

HyperValue = float | tuple[float, ...]


@dataclass(frozen=True)
class Hyper:
    """A live entry of the parameter groups that must lie between `lower` and `upper`; a closed end belongs to it."""

    name: str
    lower: float = -math.inf
    upper: float = math.inf
    lower_closed: bool = False
    upper_closed: bool = False
    length: int | None = None

    @property
    def interval(self) -> str:
        left, right = "[" if self.lower_closed else "(", "]" if self.upper_closed else ")"
        return f"{left}{self.lower:g}, {self.upper:g}{right}"

    def check(self, value: object) -> None:
        """Raises ValueError for a value of the wrong form or outside the range."""
        if isinstance(value, Tensor) and value.numel() != 1:
            raise ValueError(f"Tensor {self.name} must be 1-element")
        if isinstance(value, Tensor) and value.requires_grad:
            raise ValueError(f"Tensor {self.name} must not require grad: a step cannot be differentiated")
        if self.length is None:
            values: tuple[object, ...] = (value,)
        elif isinstance(value, tuple | list) and len(value) == self.length:
            values = tuple(value)
        else:
            raise ValueError(f"{self.name} should be {self.length} numbers but is: {value}")
        if not all(self._contains(each) for each in values):
            raise ValueError(f"{self.name} should be in {self.interval} but is: {value}")

    def _contains(self, value: object) -> bool:
        if isinstance(value, bool) or not isinstance(value, Real | Tensor):
            return False
        if isinstance(value, Tensor) and value.numel() != 1:
            return False
        number = float(value)
        above = self.lower <= number if self.lower_closed else self.lower < number
        below = number <= self.upper if self.upper_closed else number < self.upper
        return above and below

    def number(self, value: object) -> HyperValue:
        """The value as the step computes with it: a float, or a tuple of floats."""
        if self.length is None and isinstance(value, SupportsFloat):
            return float(value)
        if self.length is not None and isinstance(value, tuple | list):
            return tuple(float(each) for each in value)
        raise ValueError(
            f"{self.name} should be {self.length or 'a'} number{'s' if self.length else ''} but is: {value}"
        )


@dataclass(frozen=True)
class State:
    """A tensor kept for each parameter. `shape` is as in the spec: `rows, cols` is the parameter's own shape, `long`
    one number for each index of the longer dimension. `dtype` None is the parameter's. `initial` is a number, or
    `gradient` or `parameter` for a copy of the one that the first step finds.
    """

    name: str
    shape: str = "rows, cols"
    dtype: torch.dtype | None = None
    initial: float | str = 0.0

    @property
    def is_full(self) -> bool:
        """Whether it has the shape of the parameter as it is stored, whatever matrices are seen in it."""
        return self.shape == "rows, cols"

    def sizes(self, shape: Sequence[int], matrices: Sequence[tuple[int, int]] = ()) -> tuple[int, ...]:
        """The sizes of the state of a parameter of that shape with those logical matrices; none for the other route.

        A state that is not full has its own sizes for one matrix; for several those of all, stacked in a first
        dimension or, where they differ, one flat after the other.
        """
        if self.is_full:
            return tuple(shape)
        if not matrices:
            return (1,) * len(shape)
        each = [self._sizes_of(*matrix) for matrix in matrices]
        if len(each) == 1:
            return each[0]
        return (len(each), *each[0]) if len(set(each)) == 1 else (sum(map(math.prod, each)),)

    def _sizes_of(self, rows: int, cols: int) -> tuple[int, int]:
        down, across = (rows, 1), (1, cols)
        is_tall = rows >= cols
        return {
            "1, 1": (1, 1),
            "rows, 1": down,
            "1, cols": across,
            "long": down if is_tall else across,
            "short": across if is_tall else down,
        }[self.shape]

    def parts(self, tensor: Tensor, view: View, matrices: Sequence[tuple[int, int]]) -> list[Tensor]:
        """The state of each logical matrix, in the memory of the state of the parameter."""
        if self.is_full:
            return view.matrices(tensor)
        if len(matrices) == 1:
            return [tensor]
        if tensor.ndim > 1:
            return list(tensor.unbind(0))
        each = [self._sizes_of(*matrix) for matrix in matrices]
        return [part.view(sizes) for part, sizes in zip(tensor.split(list(map(math.prod, each))), each, strict=True)]

    def create(
        self,
        parameter: Tensor,
        gradient: Tensor,
        matrices: Sequence[tuple[int, int]] = (),
        factor: float = 1.0,
    ) -> Tensor:
        """The state that the first step finds, on the parameter's device, in the memory format of its gradient, which
        the step takes times `factor`.
        """
        dtype = self.dtype or parameter.dtype
        if isinstance(self.initial, str):
            start = loaded_gradient(gradient, dtype, factor) if self.initial == "gradient" else parameter
            return start.detach().to(dtype, copy=True)
        if self.is_full:
            return torch.full_like(gradient, self.initial, dtype=dtype, memory_format=torch.preserve_format)
        sizes = self.sizes(parameter.shape, matrices)
        return torch.full(sizes, self.initial, dtype=dtype, device=parameter.device)


@dataclass(frozen=True)
class Checkpoint:
    """A class whose checkpoints hold the same state as long as its groups hold these entries."""

    system: str
    entries: Mapping[str, object]

    def differences(self, group: Mapping[str, object]) -> list[str]:
        """What a group says otherwise, or does not say. What it says of `maximize` a step obeys, whatever it is."""
        names = [name for name in self.entries if name != "maximize" or name not in group]
        found = {name: _plain(group.get(name, "missing")) for name in names}
        return [f"{name} = {value}" for name, value in found.items() if value != self.entries[name]]


def _plain(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value
