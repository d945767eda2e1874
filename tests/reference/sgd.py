"""torch.optim.SGD with momentum, from its formulas, in float64. Shares no code with the compiler.

Source: torch/optim/sgd.py of torch 2.13 (installed, run against this function). The first step takes the gradient whole
for the momentum, whatever the dampening.
Defaults: lr 1e-3, momentum 0, dampening 0, weight decay 0 (coupled), no nesterov.
"""

from __future__ import annotations

from collections.abc import MutableMapping

from torch import Tensor


def sgd(
    parameter: Tensor,
    gradient: Tensor,
    state: MutableMapping[str, Tensor],
    step: int,
    *,
    lr: float,
    momentum: float,
    weight_decay: float,
    dampening: float = 0.0,
    nesterov: bool = False,
) -> Tensor:
    """g ← g + λθ; m ← g at first, then μm + (1−τ)g; θ ← θ − ηm, or θ − η(g + μm)."""
    gradient = gradient + weight_decay * parameter
    state["m"] = gradient if step == 1 else momentum * state["m"] + (1 - dampening) * gradient
    return parameter - lr * (gradient + momentum * state["m"] if nesterov else state["m"])
