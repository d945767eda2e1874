"""MARS-M: Muon on a gradient corrected by its change, in float64. Shares no code with the compiler.

Source: arXiv:2510.21800; AGI-Arena/MARS, MARS_M/optimizers/mars_m.py at 382372efdef9 (read), in its approximate form,
which needs no second gradient. The corrected gradient is clipped at norm 1 whatever `clip_c` says; the previous
gradient begins as zeros, so the first step corrects, too.
Defaults: lr 1e-3, momentum 0.95, weight decay 0.1, gamma 0.025, five steps, no nesterov; AdamW with betas (0.9, 0.95),
ε̂ 1e-8, which shares learning rate and decay.
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
    gamma: float = 0.025,
) -> Tensor:
    """c = g + γμ/(1−μ)(g − g₋₁), c ← c/‖c‖ if ‖c‖ > 1; m ← μm + (1−μ)c, X = m/(‖m‖ + 1e-7);
    θ ← θ(1 − ηλ) − 0.2η√max(r, c)·O; g₋₁ ← g.
    """
    corrected = gradient + gamma * momentum / (1 - momentum) * (gradient - state["previous"])
    corrected = corrected / max(1.0, float(corrected.norm()))
    state["previous"] = gradient
    state["m"] = momentum * state["m"] + (1 - momentum) * corrected
    x = state["m"] / (state["m"].norm() + 1e-7)
    for _ in range(5):
        gram = x @ x.mT
        x = 3.4445 * x - 4.7750 * gram @ x + 2.0315 * gram @ gram @ x
    return parameter * (1 - lr * weight_decay) - 0.2 * lr * math.sqrt(max(parameter.shape)) * x
