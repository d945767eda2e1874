"""AdaMuon as its authors publish it, and timm's, in float64. Shares no code with the compiler.

Source: arXiv:2507.11005 (third version); Chongjie-Si/AdaMuon, of which the index stores only the first version (no
sign, bias correction): this one was read in two copies of the later one (kv-wang/OLion, Llama/adamuon_fsdp.py, and
another) and is what VARIANTS.md ran. They sum the gradients; behind a sign an average is the same. timm 1.0.31,
timm/optim/muon.py, algo="adamuon" (the wheel, read and run against `timm`): no sign, and Newton–Schulz with five
different steps.
Defaults: lr 0.02, weight decay 0.01, momentum 0.95, nesterov, β₂ = momentum, eps 1e-8; timm lr 0.02, weight decay 0,
momentum 0.95, no nesterov, beta2 0.95, eps 1e-7.
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
    """m ← μm + g, u = g + μm; O = Newton–Schulz of sign(u); v ← μv + (1−μ)O²; A = O/(√v + 1e-8);
    θ ← θ(1 − ηλ) − η·0.2√(rc)/(‖A‖ + 1e-8)·A.
    """
    state["m"] = momentum * state["m"] + gradient
    x = (gradient + momentum * state["m"]).sign()
    x = x / (x.norm() + 1e-7)
    for _ in range(5):
        gram = x @ x.mT
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    state["v"] = momentum * state["v"] + (1 - momentum) * x.square()
    adapted = x / (state["v"].sqrt() + 1e-8)
    scale = 0.2 * math.sqrt(parameter.numel()) / (float(adapted.norm()) + 1e-8)
    return parameter * (1 - lr * weight_decay) - lr * scale * adapted


# https://leloykun.github.io/ponder/muon-opt-coeffs, as timm's "quintic" prints it.
QUINTIC = [
    (4.0848, -6.8946, 2.9270),
    (3.9505, -6.3029, 2.6377),
    (3.7418, -5.5913, 2.3037),
    (2.8769, -3.1427, 1.2046),
    (2.8366, -3.0525, 1.2012),
]


def timm(
    parameter: Tensor,
    gradient: Tensor,
    state: MutableMapping[str, Tensor],
    *,
    lr: float,
    momentum: float,
    weight_decay: float,
    beta2: float = 0.95,
) -> Tensor:
    """θ ← θ(1 − ηλ); m ← μm + (1−μ)g; O = Newton–Schulz of m/max(‖m‖, 1e-7); v ← β₂v + (1−β₂)O²; A = O/(√v + 1e-7);
    θ ← θ − η·0.2√(rc)·A/(‖A‖ + 1e-7).
    """
    state["m"] = momentum * state["m"] + (1 - momentum) * gradient
    x = state["m"] / state["m"].norm().clamp(min=1e-7)
    for a, b, c in QUINTIC:
        gram = x.mT @ x
        x = a * x + x @ (b * gram + c * gram @ gram)
    state["v"] = beta2 * state["v"] + (1 - beta2) * x * x
    adapted = x / (state["v"].sqrt() + 1e-7)
    adapted = adapted / (adapted.norm() + 1e-7)
    return parameter * (1 - lr * weight_decay) - lr * 0.2 * parameter.numel() ** 0.5 * adapted
