"""Muon+: rows and columns normalised once more after the orthogonalisation, in float64. Shares no code with the
compiler.

Source: arXiv:2602.21545; K1seki221/MuonPlus, utils/optim/muon_plus.py (read): the ε is within the root, and is 1e-7
whatever `norm_eps` says. The order "col_row" divides each column by its norm first, then each row.
Defaults: lr 1e-3, momentum 0.95, nesterov, weight decay 0.1, five steps, rms_scaling, norm_mode "none" (the README's
example, and the paper's recommendation as VARIANTS.md has it, is both); AdamW with betas (0.95, 0.95), ε̂ 1e-8.
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
    norm_mode: str = "col_row",
) -> Tensor:
    """m ← μm + g, u = g + μm, X = u/(‖u‖ + 1e-7); each column of O over √(Σ + 1e-7), then each row, in the order that
    `norm_mode` gives; θ ← θ(1 − ηλ) − η√(r/c)·O.
    """
    rows, cols = parameter.shape
    state["m"] = momentum * state["m"] + gradient
    update = gradient + momentum * state["m"]
    x = update / (update.norm() + 1e-7)
    for _ in range(5):
        gram = x @ x.mT
        x = 3.4445 * x - 4.7750 * (gram @ x) + 2.0315 * (gram @ (gram @ x))
    for axis in norm_mode.split("_"):
        x = x / (x.square().sum({"col": 0, "row": 1}[axis], keepdim=True) + 1e-7).sqrt()
    return parameter * (1 - lr * weight_decay) - lr * math.sqrt(rows / cols) * x
