"""NAMO: the orthogonalised momentum scaled by one number, the momentum's norm over the gradient's, in float64. Shares
no code with the compiler.

Source: arXiv:2602.17080, algorithm 1; minxin-zhg/namo, src/namo.py at 344d11f983f8 (read). Beyond the formula the code
takes Nesterov's step, the scale 0.2√max(r, c), and keeps both the decay's rate and the update's at 1 or below.
`emerging` is Emerging-Optimizers' moment2_method="namo" (read): no correction, no clamping, plain decay.
Defaults: lr 0.01, weight decay 0.1, momentum 0.95, mu2 0.99, eps 1e-8, nesterov, five steps, scale 0.2; AdamW betas
(0.9, 0.95), ε̂ 1e-8; Emerging beta2 0.95, eps 1e-8, no nesterov.
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
    beta2: float = 0.99,
) -> Tensor:
    """m ← μm + (1−μ)g, u = (1−μ)g + μm, v ← β₂v + (1−β₂)‖g‖²; O of u/(‖u‖ + 1e-7);
    α = η√(1 − β₂ᵗ)/(1 − μᵗ + 1e-12)·‖u‖/(√v + 1e-8); θ ← θ(1 − λ·min(α, 1)) − min(0.2α√max(r, c), 1)·O.
    """
    state["m"] = momentum * state["m"] + (1 - momentum) * gradient
    state["v"] = beta2 * state["v"] + (1 - beta2) * gradient.square().sum()
    update = (1 - momentum) * gradient + momentum * state["m"]
    x = update / (update.norm() + 1e-7)
    for _ in range(5):
        gram = x @ x.mT
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    rate = lr * math.sqrt(1 - beta2**step) / (1 - momentum**step + 1e-12)
    rate = rate * float(update.norm() / (state["v"].sqrt() + 1e-8))
    scaled = min(rate * 0.2 * math.sqrt(max(parameter.shape)), 1.0)
    return parameter * (1 - weight_decay * min(rate, 1.0)) - scaled * x


# https://leloykun.github.io/ponder/muon-opt-coeffs
QUINTIC = [
    (4.0848, -6.8946, 2.9270),
    (3.9505, -6.3029, 2.6377),
    (3.7418, -5.5913, 2.3037),
    (2.8769, -3.1427, 1.2046),
    (2.8366, -3.0525, 1.2012),
]


def emerging(
    parameter: Tensor,
    gradient: Tensor,
    state: MutableMapping[str, Tensor],
    *,
    lr: float,
    momentum: float,
    weight_decay: float,
    beta2: float = 0.95,
) -> Tensor:
    """θ ← θ − ηλθ; m ← μm + (1−μ)g, v ← β₂v + (1−β₂)‖g‖², X = m/max(‖m‖, 1e-15);
    θ ← θ − η√max(r, c)·‖m‖/(√v + 1e-8)·O.
    """
    state["m"] = momentum * state["m"] + (1 - momentum) * gradient
    state["v"] = beta2 * state["v"] + (1 - beta2) * gradient.norm() ** 2
    x = state["m"] / state["m"].norm().clamp(min=1e-15)
    for a, b, c in QUINTIC:
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    rate = lr * max(parameter.shape) ** 0.5 * state["m"].norm() / (state["v"].sqrt() + 1e-8)
    return parameter - lr * weight_decay * parameter - rate * x
