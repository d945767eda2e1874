"""What the tests of conversions share: specs, parameters, gradients that everyone gets, and runs of optimizers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim import Optimizer

import muondsl
from muondsl.runtime import SpecOptimizer

ADAM = "adamw(betas = (0.9, 0.95), eps = 1e-8)"
FRAME = """optimizer {name}
hyper lr           = 0.02  in [0, inf)
hyper momentum     = 0.95  in [0, 1)
hyper weight_decay = 0.1   in [0, inf)

momentum      {momentum}
orthogonalize newton_schulz(steps = 5, coefficients = keller_jordan, eps = 1e-30)
adapt         {adapt}
decay         decoupled(weight_decay)
otherwise     {otherwise}
"""


def spec(name: str, momentum: str, adapt: str = "none", otherwise: str = "none") -> str:
    """With so small an eps, an iteration cannot tell a sum from an average."""
    return FRAME.format(name=name, momentum=momentum, adapt=adapt, otherwise=otherwise)


AVERAGE = spec("Average", "nesterov(beta = momentum)")
SUM = spec("Sum", "nesterov_heavy_ball(beta = momentum)")

SHAPES = ((6, 4), (4, 6), (5, 5))
SMALLEST = 2.0**-52
"""The relative spacing of float64: half of it is what one operation may be off by."""


@cache
def loaded(spec: str) -> type[SpecOptimizer]:
    """Computed in float64 throughout, in the order in which the spec is written."""
    return muondsl.load(spec, numerics="faithful", precision="fp64")


def random(shape: Sequence[int], seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(tuple(shape), generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def new_parameters(shapes: Iterable[Sequence[int]] = SHAPES, dtype: torch.dtype = torch.float64) -> list[Parameter]:
    return [Parameter(0.1 * random(shape, 10 + index, dtype)) for index, shape in enumerate(shapes)]


def copies(parameters: Iterable[Tensor]) -> list[Parameter]:
    return [Parameter(each.detach().clone()) for each in parameters]


def gradient(index: int, shape: Sequence[int], step: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """That of the parameter which comes at this place in the model: the same numbers for every optimizer."""
    return random(shape, 100 * (step + 1) + index, dtype)


def advance(optimizer: Optimizer, parameters: Sequence[Parameter], steps: Iterable[int]) -> None:
    for step in steps:
        for index, parameter in enumerate(parameters):
            parameter.grad = gradient(index, parameter.shape, step, parameter.dtype)
        optimizer.step()


def trained(
    kind: Any, steps: int = 4, dtype: torch.dtype = torch.float64, **hypers: Any
) -> tuple[Any, list[Parameter]]:
    """An optimizer after some steps, and its parameters."""
    parameters = new_parameters(dtype=dtype)
    optimizer = kind(parameters, **hypers)
    advance(optimizer, parameters, range(steps))
    return optimizer, parameters


def states(saved: dict[str, Any], name: str = "momentum_buffer") -> list[Tensor]:
    """One state of each parameter, in order."""
    return [saved["state"][number][name] for number in sorted(saved["state"])]
