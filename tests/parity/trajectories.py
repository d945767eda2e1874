"""Runs of an optimizer that two sides of a comparison share: shapes, gradients, learning rates, classes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import cache

import torch
from torch import Tensor
from torch.optim import Optimizer

import muondsl
from muondsl.ir.types import Format
from muondsl.optimize import Numerics
from muondsl.runtime import SpecOptimizer
from tests.specs import SPECS

SHAPES = ((64, 64), (96, 32), (32, 96), (17, 33), (1, 48), (48, 1))
"""Square, tall, wide, odd, one row, one column."""


@cache
def loaded(name: str, numerics: Numerics = "fast", precision: Format | None = None) -> type[SpecOptimizer]:
    return muondsl.load(SPECS / f"{name}.muon", numerics=numerics, precision=precision)


def start(shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> Tensor:
    """A parameter of the size that training has."""
    generator = torch.Generator().manual_seed(len(shape) + sum(shape))
    return (0.05 * torch.randn(shape, generator=generator)).to(dtype).requires_grad_()


def gradient(shape: tuple[int, ...], step: int, size: float = 1.0) -> Tensor:
    """The gradient of one step in float32: the same numbers for every optimizer. `size` is that of its entries."""
    generator = torch.Generator().manual_seed(1000 * (step + 1) + sum(shape))
    return size * torch.randn(shape, generator=generator)


def scheduled_lr(step: int, peak: float = 0.02) -> float:
    return peak * (1 + math.cos(step)) / 2


def advance(
    optimizer: Optimizer, parameters: Iterable[Tensor], steps: Iterable[int], each: Callable[[], None] = lambda: None
) -> None:
    """Steps with the gradients and learning rates of these steps; calls `each` after every one."""
    parameters = list(parameters)
    for step in steps:
        for group in optimizer.param_groups:
            group["lr"] = scheduled_lr(step)
        for parameter in parameters:
            parameter.grad = gradient(tuple(parameter.shape), step).to(parameter.dtype)
        optimizer.step()
        each()


def relative(found: Tensor, expected: Tensor) -> float:
    """‖found − expected‖ / ‖expected‖; zero where nothing was expected and nothing found."""
    error = torch.linalg.vector_norm(found.double() - expected.double())
    return float(error / torch.linalg.vector_norm(expected.double())) if error else 0.0
