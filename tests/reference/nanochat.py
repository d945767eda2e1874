"""nanochat's MuonAdamW of early 2026 (the norm enlarged by 1.02), in float64. Shares no code with the compiler.

Each function returns the new parameter and replaces the entries of `state`, which begin as zeros.
"""

from __future__ import annotations

from collections.abc import MutableMapping

import torch
from torch import Tensor

# arXiv:2505.16932 for [1e-3, 1] with safety 0.02, as modded-nanogpt and nanochat print it.
POLAR_EXPRESS = [
    (8.156554524902461, -22.48329292557795, 15.878769915207462),
    (4.042929935166739, -2.808917465908714, 0.5000178451051316),
    (3.8916678022926607, -2.772484153217685, 0.5060648178503393),
    (3.285753657755655, -2.3681294933425376, 0.46449024233003106),
    (2.3465413258596377, -1.7097828382687081, 0.42323551169305323),
]


def muon(
    parameter: Tensor,
    gradient: Tensor,
    state: MutableMapping[str, Tensor],
    *,
    lr: float,
    momentum: float,
    weight_decay: float,
    beta2: float,
) -> Tensor:
    """m and u as Keller Jordan's; G = Polar Express of u/(1.02‖u‖ + 1e-6); v ← β₂v + (1−β₂)·mean(G²), over the short
    side; G ← G/√v with ‖G‖ kept; θ ← θ − LG − Lλθ·[Gθ ≥ 0] with L = η√max(1, r/c).
    """
    rows, cols = parameter.shape
    state["m"] = momentum * state["m"] + (1 - momentum) * gradient
    update = (1 - momentum) * gradient + momentum * state["m"]
    x = update / (1.02 * update.norm() + 1e-6)
    for a, b, c in POLAR_EXPRESS:
        gram = x @ x.mT
        x = a * x + b * (gram @ x) + c * (gram @ (gram @ x))
    state["v"] = beta2 * state["v"] + (1 - beta2) * x.square().mean(-1 if rows >= cols else -2, keepdim=True)
    normalised = x / state["v"].clamp(min=1e-10).sqrt()
    normalised = normalised * (x.norm() / normalised.norm().clamp(min=1e-10))
    rate = lr * max(1, rows / cols) ** 0.5
    decayed = torch.where(normalised * parameter >= 0, parameter, 0)
    return parameter - rate * normalised - rate * weight_decay * decayed


def adamw(
    parameter: Tensor,
    gradient: Tensor,
    state: MutableMapping[str, Tensor],
    step: int,
    *,
    lr: float,
    weight_decay: float,
    betas: tuple[float, float] = (0.8, 0.95),
) -> Tensor:
    """θ ← θ(1 − ηλ), θ ← θ − η·m̂/(√v̂ + 1e-10)."""
    beta1, beta2 = betas
    state["m"] = beta1 * state["m"] + (1 - beta1) * gradient
    state["v"] = beta2 * state["v"] + (1 - beta2) * gradient**2
    first, second = state["m"] / (1 - beta1**step), state["v"] / (1 - beta2**step)
    return parameter * (1 - lr * weight_decay) - lr * first / (second.sqrt() + 1e-10)
