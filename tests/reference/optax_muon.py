"""optax.contrib.muon, whose momentum is corrected for its beginning, in float64. Shares no code with the compiler.

Source: optax 0.2.8, optax/contrib/_muon.py (the wheel, read). It stores [inputs, outputs] and scales by √max(1,
outputs/inputs), here √max(1, rows/cols) of [outputs, inputs]. Decay is added to the scaled update. What has not two
dimensions takes optax.adamw with Nesterov's step if the matrices take it.
Defaults: beta 0.95, nesterov, eps 1e-8, weight decay 0, five steps; Adam betas (0.9, 0.999), eps 1e-8, weight decay 0,
the same learning rate, which has no default.
"""

from __future__ import annotations

import math
from collections.abc import MutableMapping

from torch import Tensor


def muon(
    parameter: Tensor,
    gradient: Tensor,
    state: MutableMapping[str, Tensor],
    step: int,
    *,
    lr: float,
    momentum: float,
    weight_decay: float,
    nesterov: bool = True,
) -> Tensor:
    """m ← μm + (1−μ)g, u = μm/(1 − μᵗ⁺¹) + (1−μ)g/(1 − μᵗ), or m/(1 − μᵗ); X = u/(‖u‖ + 1e-8);
    θ ← θ − η(√max(1, r/c)·O + λθ).
    """
    rows, cols = parameter.shape
    state["m"] = momentum * state["m"] + (1 - momentum) * gradient
    update = state["m"] / (1 - momentum**step)
    if nesterov:
        update = momentum * state["m"] / (1 - momentum ** (step + 1))
        update = update + (1 - momentum) * gradient / (1 - momentum**step)
    x = update / (update.norm() + 1e-8)
    for _ in range(5):
        gram = x @ x.mT
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return parameter - lr * (math.sqrt(max(1.0, rows / cols)) * x + weight_decay * parameter)


def adamw(
    parameter: Tensor,
    gradient: Tensor,
    state: MutableMapping[str, Tensor],
    step: int,
    *,
    lr: float,
    weight_decay: float,
    betas: tuple[float, float] = (0.9, 0.999),
    nesterov: bool = True,
) -> Tensor:
    """m, v as Adam's; m̂ = β₁m/(1 − β₁ᵗ⁺¹) + (1−β₁)g/(1 − β₁ᵗ), or m/(1 − β₁ᵗ); θ ← θ − η(m̂/(√v̂ + 1e-8) + λθ)."""
    beta1, beta2 = betas
    state["m"] = beta1 * state["m"] + (1 - beta1) * gradient
    state["v"] = beta2 * state["v"] + (1 - beta2) * gradient**2
    first = state["m"] / (1 - beta1**step)
    if nesterov:
        first = beta1 * state["m"] / (1 - beta1 ** (step + 1)) + (1 - beta1) * gradient / (1 - beta1**step)
    second = state["v"] / (1 - beta2**step)
    return parameter - lr * (first / (second.sqrt() + 1e-8) + weight_decay * parameter)
