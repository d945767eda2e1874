"""torch.optim.AdamW, from its formulas, in float64. Shares no code with the compiler.

Source: arXiv:1711.05101; torch/optim/adamw.py of torch 2.13 (installed, run against this function).
Defaults: lr 1e-3, betas (0.9, 0.999), eps 1e-8, weight decay 0.01.
"""

from __future__ import annotations

import math
from collections.abc import MutableMapping

from torch import Tensor


def adamw(
    parameter: Tensor,
    gradient: Tensor,
    state: MutableMapping[str, Tensor],
    step: int,
    *,
    lr: float,
    weight_decay: float,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
) -> Tensor:
    """θ ← θ(1 − ηλ); m ← β₁m + (1−β₁)g, v ← β₂v + (1−β₂)g²; θ ← θ − η/(1 − β₁ᵗ)·m/(√v/√(1 − β₂ᵗ) + ε)."""
    beta1, beta2 = betas
    state["m"] = beta1 * state["m"] + (1 - beta1) * gradient
    state["v"] = beta2 * state["v"] + (1 - beta2) * gradient * gradient
    denominator = state["v"].sqrt() / math.sqrt(1 - beta2**step) + eps
    return parameter * (1 - lr * weight_decay) - lr / (1 - beta1**step) * state["m"] / denominator
