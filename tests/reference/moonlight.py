"""Moonlight, arXiv:2502.16982, as its authors' code computes it, in float64. Shares no code with the compiler.

Their momentum is a sum of gradients, not an average, their norm has 1e-7 added, and their AdamW adds its ε before it
corrects the bias. Where gradients are not tiny, none of that can be told from what the spec says.
"""

from __future__ import annotations

import math
from collections.abc import MutableMapping

from torch import Tensor


def muon(
    parameter: Tensor,
    gradient: Tensor,
    state: MutableMapping[str, Tensor],
    *,
    lr: float,
    momentum: float,
    weight_decay: float,
) -> Tensor:
    """m ← μm + g, u = g + μm, X = u/(‖u‖ + 1e-7); θ ← θ(1 − ηλ), θ ← θ − 0.2η√max(r, c)·O."""
    rows, cols = parameter.shape
    state["m"] = momentum * state["m"] + gradient
    update = gradient + momentum * state["m"]
    x = update / (update.norm() + 1e-7)
    for _ in range(5):
        gram = x @ x.mT
        x = 3.4445 * x - 4.7750 * gram @ x + 2.0315 * gram @ gram @ x
    return parameter * (1 - lr * weight_decay) - 0.2 * lr * math.sqrt(max(rows, cols)) * x


def adamw(
    parameter: Tensor,
    gradient: Tensor,
    state: MutableMapping[str, Tensor],
    step: int,
    *,
    lr: float,
    weight_decay: float,
    betas: tuple[float, float] = (0.9, 0.95),
) -> Tensor:
    """θ ← θ(1 − ηλ), θ ← θ − η·√(1 − β₂ᵗ)/(1 − β₁ᵗ)·m/(√v + 1e-8)."""
    beta1, beta2 = betas
    state["m"] = beta1 * state["m"] + (1 - beta1) * gradient
    state["v"] = beta2 * state["v"] + (1 - beta2) * gradient * gradient
    rate = lr * math.sqrt(1 - beta2**step) / (1 - beta1**step)
    return parameter * (1 - lr * weight_decay) - rate * state["m"] / (state["v"].sqrt() + 1e-8)
