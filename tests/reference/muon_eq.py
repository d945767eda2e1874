"""MuonEq: rows, columns or both scaled to equal norms before the orthogonalisation, in float64. Shares no code with the
compiler.

Source: arXiv:2603.28254; the authors' class MuonEq (read in the stored index, file 52371922165, without a repository's
name). Row and column sums are both taken of the update as it comes, not one after the other. With "rowcol" and `phase`
the columns are left alone from that step on.
Defaults: lr 1e-3, momentum 0.95, nesterov, weight decay 0.1, five steps, rows, exponent −1/2, eps 1e-8; AdamW with
betas (0.95, 0.95), ε̂ 1e-8.
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
    mode: str = "row",
    exponent: float = -0.5,
) -> Tensor:
    """m ← μm + g, u = g + μm; u ← Dᵣ⁻¹ᐟ²u (rows), uD_c⁻¹ᐟ² (columns) or both, D = sum of squares + 1e-8;
    X = u/(‖u‖ + 1e-7); θ ← θ(1 − ηλ) − 0.2η√max(r, c)·O.
    """
    state["m"] = momentum * state["m"] + gradient
    update = gradient + momentum * state["m"]
    row_scale = (update.square().sum(1, keepdim=True) + 1e-8) ** exponent if "row" in mode else 1.0
    col_scale = (update.square().sum(0, keepdim=True) + 1e-8) ** exponent if "col" in mode else 1.0
    x = row_scale * update * col_scale
    x = x / (x.norm() + 1e-7)
    for _ in range(5):
        gram = x @ x.mT
        x = 3.4445 * x + (2.0315 * gram @ gram - 4.7750 * gram) @ x
    return parameter * (1 - lr * weight_decay) - 0.2 * lr * math.sqrt(max(parameter.shape)) * x
