"""ROOT: outliers clipped at a quantile, then Newton–Schulz with coefficients for the shape, in float64. Shares no code
with the compiler.

Source: arXiv:2511.20626; huawei-noah/noah-research, ROOT/examples/example_train.py (read). u − sign(u)·relu(|u| − ε) is
u clamped to [−ε, ε]; the quantile interpolates linearly. Shapes without coefficients of their own take Keller Jordan's.
Defaults: lr 1e-3, momentum 0.95, nesterov, weight decay 0.1, five steps; AdamW betas (0.9, 0.95), ε̂ 1e-8, which shares
learning rate and decay.
"""

from __future__ import annotations

import math
from collections.abc import MutableMapping

from torch import Tensor

# huawei-noah/noah-research, ROOT: by (shorter side, longer side).
COEFFICIENTS = {
    (2048, 2048): (3.4916, -4.8224, 2.1095),
    (2048, 16384): (3.1943, -3.8221, 1.5322),
    (2048, 3072): (3.4509, -4.5790, 1.9325),
    (2048, 8192): (2.9794, -3.6674, 1.6207),
}


def muon(
    parameter: Tensor,
    gradient: Tensor,
    state: MutableMapping[str, Tensor],
    *,
    lr: float,
    momentum: float,
    weight_decay: float,
) -> Tensor:
    """m ← μm + g, u = g + μm, ε = 0.9-quantile of |u| + 1e-9, b = u clamped to [−ε, ε], X = b/(‖b‖ + 1e-7);
    θ ← θ(1 − ηλ) − 0.2η√max(r, c)·O.
    """
    state["m"] = momentum * state["m"] + gradient
    update = gradient + momentum * state["m"]
    sizes = update.abs().flatten().sort().values
    place = 0.9 * (len(sizes) - 1)
    low, high = sizes[math.floor(place)], sizes[math.ceil(place)]
    threshold = float(low + (high - low) * (place - math.floor(place))) + 1e-9
    x = update.clamp(min=-threshold, max=threshold)
    x = x / (x.norm() + 1e-7)
    a, b, c = COEFFICIENTS.get((min(parameter.shape), max(parameter.shape)), (3.4445, -4.7750, 2.0315))
    for _ in range(5):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return parameter * (1 - lr * weight_decay) - 0.2 * lr * math.sqrt(max(parameter.shape)) * x
