"""NorMuonAndAdam of modded-nanogpt's train_gpt.py with its schedule of the momentum, in float64. Shares no code with
the compiler.

Source: KellerJordan/modded-nanogpt, train_gpt.py at 0016a3c45a41 (read): class NorMuonAndAdam, and get_muon_momentum as
stored beside it. Decay is by η²λ times the scale where update and parameter agree in sign, zero included, for matrices,
and by η²λ where the signs agree, zero excluded, for Adam. Left out: parameters of 16 bits with their lost bits kept,
the split of banks, the double rate of every second matrix of a bank, Adam's step only in every second step.
Defaults: lr 0.023, momentum 0.85 → 0.95 over 300 steps and back in the last 50, beta2 0.9, weight decay 1.2; Adam lr
0.008, eps 1e-10, betas and multipliers for each parameter.
"""

from __future__ import annotations

import math
from collections.abc import MutableMapping

from torch import Tensor

# arXiv:2505.16932 for [1e-3, 1] with safety 0.02.
COEFFICIENTS = [
    (8.156554524902461, -22.48329292557795, 15.878769915207462),
    (4.042929935166739, -2.808917465908714, 0.5000178451051316),
    (3.8916678022926607, -2.772484153217685, 0.5060648178503393),
    (3.285753657755655, -2.3681294933425376, 0.46449024233003106),
    (2.3465413258596377, -1.7097828382687081, 0.42323551169305323),
]


def momentum_at(step: int, low: float, high: float, warmup: int, cooldown: int, total: int | None) -> float:
    """Of the step before which `step` − 1 others were taken: from low to high in `warmup` steps; back, from `total` −
    `cooldown` on.
    """
    before = step - 1
    if before < warmup:
        return low + (high - low) * before / warmup
    if total is not None and before > total - cooldown:
        return high - (high - low) * (before - (total - cooldown)) / cooldown
    return high


def muon(
    parameter: Tensor,
    gradient: Tensor,
    state: MutableMapping[str, Tensor],
    step: int,
    *,
    lr: float,
    weight_decay: float,
    beta2: float = 0.9,
    momentum_min: float = 0.85,
    momentum_max: float = 0.95,
    warmup: int = 300,
    cooldown: int = 50,
    total_steps: int | None = None,
) -> Tensor:
    """μ from the schedule; m ← μm + (1−μ)g, u = (1−μ)g + μm; O = Polar Express of u/(1.02‖u‖ + 1e-6);
    v ← β₂v + (1−β₂)·mean(O²) over the short side; N = O/√max(v, 1e-10) with ‖O‖ kept; L = η√max(1, r/c);
    θ ← θ − LN − L·ηλ·θ·[Nθ ≥ 0].
    """
    rows, cols = parameter.shape
    mu = momentum_at(step, momentum_min, momentum_max, warmup, cooldown, total_steps)
    state["m"] = mu * state["m"] + (1 - mu) * gradient
    update = mu * state["m"] + (1 - mu) * gradient
    x = update / (1.02 * update.norm() + 1e-6)
    for a, b, c in COEFFICIENTS:
        gram = x @ x.mT
        x = a * x + b * (gram @ x) + c * (gram @ (gram @ x))
    state["v"] = beta2 * state["v"] + (1 - beta2) * x.square().mean(-1 if rows >= cols else -2, keepdim=True)
    weights = state["v"].clamp(min=1e-10).rsqrt()
    normalised = weights * x * (x.norm() / (weights * x).norm().clamp(min=1e-10))
    rate = lr * math.sqrt(max(1.0, rows / cols))
    return parameter - rate * normalised - rate * (lr * weight_decay) * parameter * (normalised * parameter >= 0)


def adam(
    parameter: Tensor,
    gradient: Tensor,
    state: MutableMapping[str, Tensor],
    step: int,
    *,
    lr: float,
    weight_decay: float,
    betas: tuple[float, float] = (0.9, 0.95),
) -> Tensor:
    """m, v as Adam's; U = η√(1 − β₂ᵗ)/(1 − β₁ᵗ)·m/(√v + 1e-10); θ ← θ − U − η²λθ·[Uθ > 0]."""
    beta1, beta2 = betas
    state["m"] = beta1 * state["m"] + (1 - beta1) * gradient
    state["v"] = beta2 * state["v"] + (1 - beta2) * gradient.square()
    update = state["m"] / (state["v"].sqrt() + 1e-10) * (lr * math.sqrt(1 - beta2**step) / (1 - beta1**step))
    return parameter - update - lr * lr * weight_decay * parameter * (update * parameter > 0)
