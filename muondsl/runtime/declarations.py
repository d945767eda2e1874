"""What a generated class says of itself: its hypers, its states, its routes, the checkpoints it understands."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from numbers import Real
from typing import SupportsFloat

import torch
from torch import Tensor

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

    def sizes(self, parameter: Tensor) -> tuple[int, ...]:
        if self.shape == "rows, cols":
            return tuple(parameter.shape)
        if self.shape == "1, 1":
            return (1,) * parameter.ndim
        rows, cols = parameter.shape
        is_tall = rows >= cols
        return {
            "rows, 1": (rows, 1),
            "1, cols": (1, cols),
            "long": (rows, 1) if is_tall else (1, cols),
            "short": (1, cols) if is_tall else (rows, 1),
        }[self.shape]

    def create(self, parameter: Tensor, gradient: Tensor) -> Tensor:
        """The state that the first step finds, on the parameter's device, in the memory format of its gradient."""
        dtype = self.dtype or parameter.dtype
        if isinstance(self.initial, str):
            start = gradient if self.initial == "gradient" else parameter
            return start.detach().to(dtype, copy=True)
        if self.shape == "rows, cols":
            return torch.full_like(gradient, self.initial, dtype=dtype, memory_format=torch.preserve_format)
        return torch.full(self.sizes(parameter), self.initial, dtype=dtype, device=parameter.device)


@dataclass(frozen=True)
class Parameter:
    """What a route may ask of a parameter: its name, if it has one, and its shape."""

    name: str | None
    shape: tuple[int, ...]

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def rows(self) -> int:
        return self.shape[0] if self.shape else 1

    @property
    def cols(self) -> int:
        return self.shape[1] if len(self.shape) > 1 else 1

    @property
    def numel(self) -> int:
        return math.prod(self.shape)

    def named(self, *patterns: str) -> bool:
        """Whether the name matches one of the globs. Raises ValueError where there is no name."""
        if self.name is None:
            raise ValueError(
                "the optimizer routes parameters by their names: pass model.named_parameters(), "
                "or groups with a 'route' of 'matrix' or 'otherwise'"
            )
        name = self.name
        return any(fnmatchcase(name, pattern) for pattern in patterns)


Route = Callable[[Parameter], bool]


@dataclass(frozen=True)
class Checkpoint:
    """A class whose checkpoints hold the same state as long as its groups hold these entries."""

    system: str
    entries: Mapping[str, object]

    def differences(self, group: Mapping[str, object]) -> list[str]:
        """What a group says otherwise, or does not say."""
        found = {name: _plain(group.get(name, "missing")) for name in self.entries}
        return [f"{name} = {value}" for name, value in found.items() if value != self.entries[name]]


def _plain(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value
