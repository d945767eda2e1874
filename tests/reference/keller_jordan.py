"""Keller Jordan's Muon with auxiliary Adam, from its published formulas, in float64. Shares no code with the compiler.

Each function returns the new parameter and replaces the entries of `state`, which begin as zeros.
"""

from __future__ import annotations

from collections.abc import MutableMapping

import torch
from torch import Tensor


def zeroth_power(x: Tensor) -> Tensor:
    """Five steps of X ← aX + (bA + cA²)X with A = XXᵀ, along the rows, which are no more than the columns."""
    for _ in range(5):
        gram = x @ x.mT
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return x


def muon(
    parameter: Tensor,
    gradient: Tensor,
    state: MutableMapping[str, Tensor],
    *,
    lr: float,
    momentum: float,
    weight_decay: float,
) -> Tensor:
    """m ← μm + (1−μ)g, u = (1−μ)g + μm, X = u/(‖u‖ + 1e-7); θ ← θ(1 − ηλ), θ ← θ − η√max(1, r/c)·O."""
    rows, cols = parameter.shape
    state["m"] = momentum * state["m"] + (1 - momentum) * gradient
    update = (1 - momentum) * gradient + momentum * state["m"]
    x = update / (update.norm() + 1e-7)
    orthogonal = zeroth_power(x.mT).mT if rows > cols else zeroth_power(x)
    return parameter * (1 - lr * weight_decay) - lr * max(1, rows / cols) ** 0.5 * orthogonal


def adam(
    parameter: Tensor,
    gradient: Tensor,
    state: MutableMapping[str, Tensor],
    step: int,
    *,
    lr: float,
    weight_decay: float,
) -> Tensor:
    """θ ← θ(1 − ηλ), θ ← θ − η·m̂/(√v̂ + 1e-10), with β = (0.9, 0.95)."""
    state["m"] = 0.9 * state["m"] + 0.1 * gradient
    state["v"] = 0.95 * state["v"] + 0.05 * gradient**2
    first, second = state["m"] / (1 - 0.9**step), state["v"] / (1 - 0.95**step)
    return parameter * (1 - lr * weight_decay) - lr * first / (torch.sqrt(second) + 1e-10)
