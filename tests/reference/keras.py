"""keras.optimizers.Muon, from its formulas, in float64. Shares no code with the compiler.

Source: keras/src/optimizers/muon.py of Keras 3.15.1 (the wheel, read and run against these functions). Kernels are
stored [inputs, outputs], which the scale, a function of the longer side, cannot tell. Momentum is a sum. Which
variables are not matrices: any that has not two dimensions, has "embedding" in its path (in any case), or whose path a
regular expression of `exclude_layers` finds. They share the learning rate, times `adam_lr_ratio`, and decay by
`adam_weight_decay` times the learning rate without that ratio.
Defaults: lr 1e-3, momentum 0.95, nesterov, rms_rate 0.2, weight_decay 0.004, adam_weight_decay 0.004, betas (0.9,
0.999), epsilon 1e-7, five steps.
"""

from __future__ import annotations

import math
import re
from collections.abc import MutableMapping, Sequence

from torch import Tensor


def muon(
    parameter: Tensor,
    gradient: Tensor,
    state: MutableMapping[str, Tensor],
    *,
    lr: float,
    momentum: float,
    weight_decay: float,
    rms_rate: float = 0.2,
) -> Tensor:
    """m ← μm + g, u = g + μm, X = u/(‖u‖ + 1e-7); θ ← θ − ηλθ, then θ ← θ − 0.2η√max(r, c)·O."""
    state["m"] = momentum * state["m"] + gradient
    update = gradient + momentum * state["m"]
    x = update / (update.norm() + 1e-7)
    for _ in range(5):
        gram = x @ x.mT
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * (gram @ gram)) @ x
    return parameter - parameter * weight_decay * lr - lr * x * math.sqrt(max(parameter.shape)) * rms_rate


def unscaled(
    parameter: Tensor,
    gradient: Tensor,
    state: MutableMapping[str, Tensor],
    *,
    lr: float,
    momentum: float,
    weight_decay: float,
) -> Tensor:
    """The same with `rms_rate=None`: m ← μm + g, u = g + μm, X = u/(‖u‖ + 1e-7); θ ← θ(1 − ηλ) − η·O."""
    state["m"] = state["m"] + (gradient + state["m"] * (momentum - 1))
    update = gradient + momentum * state["m"]
    x = (update / (update.norm() + 1e-7)).mT
    for _ in range(5):
        gram = x.mT @ x
        x = x @ (-4.7750 * gram + 2.0315 * (gram @ gram)) + 3.4445 * x
    return parameter * (1 - weight_decay * lr) - lr * x.mT


def adam(
    parameter: Tensor,
    gradient: Tensor,
    state: MutableMapping[str, Tensor],
    step: int,
    *,
    lr: float,
    weight_decay: float,
    adam_lr_ratio: float = 1.0,
    betas: tuple[float, float] = (0.9, 0.999),
) -> Tensor:
    """θ ← θ − ηλθ; m, v as Adam's; θ ← θ − α·m/(√v + 1e-7) with α = η·ratio·√(1 − β₂ᵗ)/(1 − β₁ᵗ)."""
    beta1, beta2 = betas
    state["m"] = state["m"] + (gradient - state["m"]) * (1 - beta1)
    state["v"] = state["v"] + (gradient.square() - state["v"]) * (1 - beta2)
    rate = lr * adam_lr_ratio * math.sqrt(1 - beta2**step) / (1 - beta1**step)
    return parameter - parameter * weight_decay * lr - rate * state["m"] / (state["v"].sqrt() + 1e-7)


def takes_adam(
    path: str, shape: Sequence[int], *, exclude_layers: Sequence[str] = (), exclude_embeddings: bool = True
) -> bool:
    """True for a variable that is not a matrix or that its path excludes."""
    embedding = exclude_embeddings and "embedding" in path.lower()
    return len(shape) != 2 or embedding or any(re.search(pattern, path) for pattern in exclude_layers)
