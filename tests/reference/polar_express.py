"""Muon with Polar Express, as its authors' training code computes it, in float64. Shares no code with the compiler.

Source: arXiv:2505.16932; NoahAmsel/PolarExpress, polar_express.py (read as copied in timlautk/polargrad and in
HeavyBall 3.2.1); modichirag/GPT-opt, gptopt/optim/muon.py (read): the momentum is a sum, the scale √(rows/cols). The
coefficients of ℓ = 1e-3 are divided by 1.01, 1.01³ and 1.01⁵, all but the eighth, and the norm is enlarged by 1.01.
Defaults: lr 1e-3, momentum 0.95, nesterov, weight decay 0.1, five steps of the eight; AdamW with betas (0.95, 0.95) and
ε̂ 1e-8.
"""

from __future__ import annotations

import math
from collections.abc import MutableMapping

from torch import Tensor

# arXiv:2505.16932, the code it prints: before the division.
COEFFICIENTS = [
    (8.28721201814563, -23.595886519098837, 17.300387312530933),
    (4.107059111542203, -2.9478499167379106, 0.5448431082926601),
    (3.9486908534822946, -2.908902115962949, 0.5518191394370137),
    (3.3184196573706015, -2.488488024314874, 0.51004894012372),
    (2.300652019954817, -1.6689039845747493, 0.4188073119525673),
    (1.891301407787398, -1.2679958271945868, 0.37680408948524835),
    (1.8750014808534479, -1.2500016453999487, 0.3750001645474248),
    (1.875, -1.25, 0.375),
]


def muon(
    parameter: Tensor,
    gradient: Tensor,
    state: MutableMapping[str, Tensor],
    *,
    lr: float,
    momentum: float,
    weight_decay: float,
    steps: int = 5,
) -> Tensor:
    """m ← μm + g, u = g + μm, X = u/(1.01‖u‖ + 1e-7); θ ← θ(1 − ηλ) − η√(r/c)·O."""
    rows, cols = parameter.shape
    state["m"] = momentum * state["m"] + gradient
    update = gradient + momentum * state["m"]
    x = update / (1.01 * update.norm() + 1e-7)
    for index in range(steps):
        a, b, c = COEFFICIENTS[min(index, 7)]
        safety = 1.01 if index < 7 else 1.0
        y = x / safety
        gram = y @ y.mT
        x = a * y + (b * gram + c * gram @ gram) @ y
    return parameter * (1 - lr * weight_decay) - lr * math.sqrt(rows / cols) * x
