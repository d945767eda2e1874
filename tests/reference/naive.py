"""Keller Jordan's Muon without any factor for the shape, in float64. Shares no code with the compiler.

Source: KellerJordan/Muon, muon.py, less the factor for the shape.
Defaults: those of Keller Jordan's Muon, lr 0.02, momentum 0.95, weight decay 0.
"""

from __future__ import annotations

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
    """m ← μm + (1−μ)g, u = (1−μ)g + μm, X = u/(‖u‖ + 1e-7); θ ← θ(1 − ηλ) − η·O."""
    state["m"] = gradient - momentum * (gradient - state["m"])
    update = gradient - momentum * (gradient - state["m"])
    x = update / (1e-7 + (update * update).sum().sqrt())
    for _ in range(5):
        gram = x.mT @ x
        x = 3.4445 * x - x @ (4.7750 * gram - 2.0315 * gram @ gram)
    return (1 - lr * weight_decay) * parameter - lr * x
