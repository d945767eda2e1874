"""AdaGO: Muon's direction with AdaGrad's step, in the paper's form and in pytorch_optimizer's, in float64. Shares no
code with the compiler.

Source: arXiv:2509.02981 by a page of formulas (v² is what accumulates, v divides); pytorch_optimizer 4.1.0,
optimizer/muon/adago.py (the wheel, read and run against `kozistr`), which divides by the accumulated squares
themselves, and scales the learning rate, but not its floor, by √max(1, rows/cols). The paper has neither scale nor
decay; `weight_decay` is pytorch_optimizer's. Defaults (pytorch_optimizer): lr 0.05, momentum 0.95, no nesterov, gamma
10, eps 5e-4, v 1e-6 at first, weight decay 0.
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
    weight_decay: float = 0.0,
    gamma: float = 10.0,
    eps: float = 5e-4,
    v0: float = 1e-6,
) -> Tensor:
    """m ← μm + (1−μ)g; v² ← v² + min(‖g‖², γ²), v = v₀ at first; O of m/(‖m‖ + 1e-7); α = max(ε, η·min(‖g‖, γ)/v);
    θ ← θ(1 − ηλ) − α·O.
    """
    norm = min(float(gradient.norm()), gamma)
    state["m"] = momentum * state["m"] + (1 - momentum) * gradient
    state["squares"] = state["squares"] + norm**2
    x = state["m"] / (state["m"].norm() + 1e-7)
    for _ in range(5):
        gram = x @ x.mT
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    rate = max(eps, lr * norm / math.sqrt(float(state["squares"]) + v0**2))
    return parameter * (1 - lr * weight_decay) - rate * x


def kozistr(
    parameter: Tensor,
    gradient: Tensor,
    state: MutableMapping[str, Tensor],
    *,
    lr: float,
    momentum: float,
    weight_decay: float = 0.0,
    gamma: float = 10.0,
    eps: float = 5e-4,
    v0: float = 1e-6,
) -> Tensor:
    """θ ← θ(1 − ηλ); m ← μm + (1−μ)g; v ← v + min(‖g‖², γ²), v₀ at first; O of m/max(‖m‖, 1e-7);
    θ ← θ − max(ε, η√max(1, r/c)·min(‖g‖, γ)/v)·O.
    """
    rows, cols = parameter.shape
    state["m"] = momentum * state["m"] + (1 - momentum) * gradient
    state["v"] = state["v"] + gradient.square().sum().clamp(max=gamma**2)
    x = state["m"] / state["m"].norm().clamp(min=1e-7)
    for _ in range(5):
        gram = x.mT @ x
        x = 3.4445 * x + x @ (-4.7750 * gram + 2.0315 * gram @ gram)
    rate = lr * max(1.0, rows / cols) ** 0.5 * gradient.norm().clamp(max=gamma) / (state["v"] + v0)
    return parameter * (1 - lr * weight_decay) - rate.clamp(min=eps) * x
