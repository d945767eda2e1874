"""Keller Jordan's Muon with the scale √(rows/cols) of the spectral condition, in float64. Shares no code with the
compiler.

Source: the scale is that of "A Spectral Condition for Feature Learning" (arXiv:2310.17813) and of modular duality
(arXiv:2410.21265); all else is KellerJordan/Muon, muon.py. Unlike √max(1, rows/cols) it shrinks wide matrices.
Defaults: those of Keller Jordan's Muon, lr 0.02, momentum 0.95, weight decay 0.
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
    """m ← μm + (1−μ)g, u = (1−μ)g + μm, X = u/(‖u‖ + 1e-7); θ ← θ(1 − ηλ) − η√(r/c)·O."""
    rows, cols = parameter.shape
    state["m"] = momentum * state["m"] + (1 - momentum) * gradient
    update = momentum * state["m"] + (1 - momentum) * gradient
    x = update / (update.norm() + 1e-7)
    for _ in range(5):
        gram = x @ x.mT
        x = 3.4445 * x + (2.0315 * gram @ gram - 4.7750 * gram) @ x
    return parameter - lr * weight_decay * parameter - lr * math.sqrt(rows / cols) * x
