"""OLion: Lion's two momenta, orthogonalised, then the sign at an RMS of 0.2, in float64. Shares no code with the
compiler.

Source: arXiv:2602.01105; kv-wang/OLion, SIT/olion.py (read) and a page of formulas that agrees. Unlike Lion's, its mix
takes the momentum after it has been updated. The published nanoGPT/OLion.py defines the orthogonalisation and never
calls it. Its scale √min(r, c)/(‖s‖ + 1e-8), then 0.2√max(r, c), is 0.2√(rc)/(‖s‖ + 1e-8).
Defaults: lr 0.02, momentum 0.95 (mixing), momentum_2 0.98 (decay), five steps, weight decay 0 (0.01 for nanoGPT).
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
    momentum_2: float = 0.98,
) -> Tensor:
    """m ← β₂m + (1−β₂)g, u = (1−β₁)g + β₁m, X = u/(‖u‖ + 1e-7), s = sign(O);
    θ ← θ(1 − ηλ) − η·0.2√(rc)/(‖s‖ + 1e-8)·s.
    """
    state["m"] = momentum_2 * state["m"] + (1 - momentum_2) * gradient
    update = (1 - momentum) * gradient + momentum * state["m"]
    x = update / (update.norm() + 1e-7)
    for _ in range(5):
        gram = x @ x.mT
        x = 3.4445 * x - 4.7750 * gram @ x + 2.0315 * gram @ gram @ x
    signs = x.sign()
    return parameter * (1 - lr * weight_decay) - lr * 0.2 * math.sqrt(x.numel()) / (signs.norm() + 1e-8) * signs
