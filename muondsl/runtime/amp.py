"""What a step makes of gradients before it reads them: their sign, and what `torch.amp.GradScaler` asks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from muondsl.runtime.optimizer import SpecOptimizer


@dataclass(frozen=True, slots=True)
class Scaling:
    """Gradients are divided by `grad_scale`, and the step leaves everything as it is where `found_inf` is not zero.

    Each is a number, or a tensor of one element on any device.
    """

    grad_scale: float | Tensor = 1.0
    found_inf: float | Tensor = 0.0

    @classmethod
    def of(cls, optimizer: SpecOptimizer) -> Scaling:
        """What GradScaler has left on the optimizer for the time of a step."""
        scale, found = getattr(optimizer, "grad_scale", None), getattr(optimizer, "found_inf", None)
        return cls(1.0 if scale is None else scale, 0.0 if found is None else found)

    @property
    def is_read(self) -> bool:
        return not (isinstance(self.grad_scale, Tensor) or isinstance(self.found_inf, Tensor))

    def read(self) -> Scaling:
        """The same in numbers. The host waits where they are on a device."""
        return self if self.is_read else Scaling(float(self.grad_scale), float(self.found_inf))

    @property
    def is_skipped(self) -> bool:
        """Whether nothing is stepped; of what is read."""
        return float(self.found_inf) != 0

    @property
    def inverse(self) -> float | Tensor:
        """1 / grad_scale in fp64."""
        if isinstance(self.grad_scale, Tensor):
            return self.grad_scale.detach().double().reciprocal()
        return 1 / self.grad_scale if self.grad_scale else math.inf

    @property
    def skipped(self) -> float | Tensor:
        """1 where the step is skipped, else 0."""
        if isinstance(self.found_inf, Tensor):
            return (self.found_inf.detach() != 0).double()
        return float(self.is_skipped)

    def counted(self, device: torch.device) -> float | Tensor:
        """By how much the count of steps grows."""
        if isinstance(self.found_inf, Tensor):
            return (self.found_inf.detach() == 0).to(device, torch.float32)
        return float(not self.is_skipped)

    def factor(self, group: Mapping[str, Any]) -> float:
        """What the gradients of a group are multiplied by; of what is read."""
        return sign_of(group) * float(self.inverse)


def sign_of(group: Mapping[str, Any]) -> float:
    return -1.0 if group["maximize"] else 1.0


def check_maximize(value: object) -> None:
    """Raises ValueError for what is no truth value."""
    if not isinstance(value, bool):
        raise ValueError(f"maximize should be True or False but is: {value!r}")


def loaded_gradient(gradient: Tensor, dtype: torch.dtype, factor: float) -> Tensor:
    """The gradient as the torch path takes it: multiplied in the wider of both formats, and rounded once."""
    if factor != 1:
        gradient = gradient.to(torch.promote_types(gradient.dtype, dtype)) * factor
    return gradient.to(dtype)


def gradient_dtype(parameter: Tensor) -> torch.dtype:
    """The format of the gradient that a parameter has or, if it has none, would take."""
    if parameter.grad is not None:
        return parameter.grad.dtype
    return getattr(parameter, "grad_dtype", None) or parameter.dtype
