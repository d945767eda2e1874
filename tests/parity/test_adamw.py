"""The rules of the standard library for parameters of any shape, against torch's own optimizers, in fp32."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor

import muondsl
from muondsl.runtime import SpecOptimizer
from tests.parity.trajectories import advance, relative, start

STEPS = 50
SHAPES = ((48,), (17, 33), (8, 3, 3, 3), (), (5, 1, 7))

ADAMW = """
optimizer OnlyAdamW
hyper lr           = 1e-3         in [0, inf)
hyper betas        = (0.9, 0.999) in [0, 1)
hyper weight_decay = 0            in [0, inf)
otherwise adamw(betas = betas, eps = 1e-8, weight_decay = weight_decay)
"""
SGD = """
optimizer OnlySgd
hyper lr           = 1e-3 in [0, inf)
hyper momentum     = 0.9  in [0, 1)
hyper weight_decay = 0    in [0, inf)
otherwise sgd_momentum(momentum = momentum, weight_decay = weight_decay)
"""

shapes = pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "x".join(map(str, shape)) or "scalar")
decays = pytest.mark.parametrize("weight_decay", [0.0, 0.1])


@cache
def of_text(text: str) -> type[SpecOptimizer]:
    return muondsl.load(text)


def ours(text: str, parameter: Tensor, **hypers: Any) -> SpecOptimizer:
    return of_text(text)([{"params": [parameter], "route": "otherwise", **hypers}])


def movement_error(
    found: torch.optim.Optimizer, parameter: Tensor, expected: torch.optim.Optimizer, other: Tensor
) -> float:
    """The relative difference of how far 50 steps of a changing learning rate carry the parameter."""
    begin = parameter.detach().clone()
    advance(found, [parameter], range(STEPS))
    advance(expected, [other], range(STEPS))
    return relative(parameter.detach() - begin, other.detach() - begin)


@shapes
@decays
@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.8, 0.95)])
def test_adamw_moves_parameters_as_torch_does(
    shape: tuple[int, ...], weight_decay: float, betas: tuple[float, float]
) -> None:
    parameter, other = start(shape), start(shape)
    found = ours(ADAMW, parameter, weight_decay=weight_decay, betas=betas)
    expected = torch.optim.AdamW([other], weight_decay=weight_decay, betas=betas)
    # One number may end near where it began, and then its movement has fewer digits than its steps.
    assert movement_error(found, parameter, expected, other) <= (1e-6 if shape else 2e-6)
    for name in ("exp_avg", "exp_avg_sq", "step"):
        assert relative(found.state[parameter][name], expected.state[other][name]) <= 1e-6


@shapes
@decays
def test_sgd_momentum_moves_parameters_as_torch_does(shape: tuple[int, ...], weight_decay: float) -> None:
    parameter, other = start(shape), start(shape)
    found = ours(SGD, parameter, weight_decay=weight_decay, momentum=0.8)
    expected = torch.optim.SGD([other], weight_decay=weight_decay, momentum=0.8)
    assert movement_error(found, parameter, expected, other) <= 1e-6
    assert relative(found.state[parameter]["momentum_buffer"], expected.state[other]["momentum_buffer"]) <= 1e-6
