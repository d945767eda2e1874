"""Muon-VS and Muon-NSR: the momentum over its estimated noise before the orthogonalisation, in float64. Shares no code
with the compiler.

Source: arXiv:2601.14603, algorithm 1; jingru-lee/Variance-Adaptive-Muon, NanoGPT/gpt2/models/optimizers/muon_vs.py
(read). The noise is taken against the momentum before it is updated, and both averages are corrected by 1 − μᵗ. `nsr`
is by a transcription of the paper's second version and VARIANTS.md, which place ε differently; its code was not read.
Defaults: lr 0.02, momentum 0.95, weight decay 0.01, five steps, eps 1e-8; NSR alpha 10.
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
) -> Tensor:
    """Γ ← μΓ + μ(1−μ)(m − g)², m ← μm + (1−μ)g; u = (g + μ/(1−μ)·m/(1 − μᵗ))/(√(Γ/(1 − μᵗ)) + 1e-8);
    X = u/(‖u‖ + 1e-7); θ ← θ(1 − ηλ) − 0.2η√max(r, c)·O.
    """
    noise = (state["m"] - gradient).square()
    state["noise"] = momentum * state["noise"] + momentum * (1 - momentum) * noise
    state["m"] = momentum * state["m"] + (1 - momentum) * gradient
    correction = 1 - momentum**step
    update = gradient + momentum / (1 - momentum) * state["m"] / correction
    update = update / ((state["noise"] / correction).sqrt() + 1e-8)
    x = update / (update.norm() + 1e-7)
    for _ in range(5):
        gram = x @ x.mT
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return parameter * (1 - lr * weight_decay) - 0.2 * lr * math.sqrt(max(parameter.shape)) * x


def nsr(
    parameter: Tensor,
    gradient: Tensor,
    state: MutableMapping[str, Tensor],
    step: int,
    *,
    lr: float,
    momentum: float,
    weight_decay: float,
    alpha: float = 10.0,
) -> Tensor:
    """Γ, m and T = g + μ/(1−μ)·m/(1 − μᵗ) as above; u = T/(√(T² + αΓ/(1 − μᵗ)) + 1e-8); the rest as above."""
    state["noise"] = momentum * (state["noise"] + (1 - momentum) * (gradient - state["m"]) ** 2)
    state["m"] = momentum * state["m"] + (1 - momentum) * gradient
    correction = 1 - momentum**step
    lookahead = gradient + state["m"] * momentum / ((1 - momentum) * correction)
    update = lookahead / ((lookahead.square() + alpha * state["noise"] / correction).sqrt() + 1e-8)
    x = update / (update.norm() + 1e-7)
    for _ in range(5):
        gram = x.mT @ x
        x = 3.4445 * x + x @ (-4.7750 * gram + 2.0315 * gram @ gram)
    return parameter * (1 - lr * weight_decay) - 0.2 * lr * math.sqrt(max(parameter.shape)) * x
