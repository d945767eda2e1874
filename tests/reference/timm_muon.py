"""timm's Muon, in float64. Shares no code with the compiler.

Source: timm 1.0.31, timm/optim/muon.py and nadamw.py (the wheel, read and run against these functions). Kernels are
flattened to the first dimension times the others, and the scale is that of the flattened shape. Routed to the fallback:
fewer than two dimensions larger than one, a first or second dimension of one, a flattened side below 4, an aspect ratio
above 128. The fallback is AdamW with the same decay and ε, NAdamW when `nesterov`; its learning rate is the same times
`fallback_lr_scale`.
Defaults: lr 0.02, momentum 0.95, no nesterov, weight decay 0, five steps "quintic", eps 1e-7, scale "match_rms_adamw",
betas (0.9, 0.95).
"""

from __future__ import annotations

import math
from collections.abc import MutableMapping, Sequence

from torch import Tensor

# https://leloykun.github.io/ponder/muon-opt-coeffs
QUINTIC = [
    (4.0848, -6.8946, 2.9270),
    (3.9505, -6.3029, 2.6377),
    (3.7418, -5.5913, 2.3037),
    (2.8769, -3.1427, 1.2046),
    (2.8366, -3.0525, 1.2012),
]


def muon(
    parameter: Tensor,
    gradient: Tensor,
    state: MutableMapping[str, Tensor],
    *,
    lr: float,
    momentum: float,
    weight_decay: float,
    nesterov: bool = False,
) -> Tensor:
    """θ ← θ(1 − ηλ); m ← μm + (1−μ)g, u = m, or (1−μ)g + μm; X = u/max(‖u‖, 1e-7); θ ← θ − 0.2η√max(r, c)·O."""
    state["m"] = momentum * state["m"] + (1 - momentum) * gradient
    update = (1 - momentum) * gradient + momentum * state["m"] if nesterov else state["m"]
    x = update.flatten(1) / update.norm().clamp(min=1e-7)
    scale = 0.2 * math.sqrt(max(x.shape))
    for a, b, c in QUINTIC:
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return parameter * (1 - lr * weight_decay) - lr * scale * x.reshape(parameter.shape)


def adamw(
    parameter: Tensor,
    gradient: Tensor,
    state: MutableMapping[str, Tensor],
    step: int,
    *,
    lr: float,
    weight_decay: float,
    betas: tuple[float, float] = (0.9, 0.95),
    nesterov: bool = False,
) -> Tensor:
    """θ ← θ(1 − ηλ); m, v as Adam's; u = m, or β₁m + (1−β₁)g; θ ← θ − η/(1 − β₁ᵗ)·u/(√v/√(1 − β₂ᵗ) + 1e-7)."""
    beta1, beta2 = betas
    state["m"] = beta1 * state["m"] + (1 - beta1) * gradient
    state["v"] = beta2 * state["v"] + (1 - beta2) * gradient * gradient
    first = beta1 * state["m"] + (1 - beta1) * gradient if nesterov else state["m"]
    denominator = state["v"].sqrt() / math.sqrt(1 - beta2**step) + 1e-7
    return parameter * (1 - lr * weight_decay) - lr / (1 - beta1**step) * first / denominator


def takes_adamw(shape: Sequence[int]) -> bool:
    """True for a parameter that timm does not think worth orthogonalising."""
    if len(shape) < 2 or sum(size > 1 for size in shape) < 2 or 1 in shape[:2]:
        return True
    rows, cols = shape[0], math.prod(shape[1:])
    return min(rows, cols) < 4 or max(rows, cols) / min(rows, cols) > 128
