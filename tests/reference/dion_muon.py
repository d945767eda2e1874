"""The Muon of microsoft/dion, in float64. Shares no code with the compiler.

Source: microsoft/dion, dion/muon.py and megabatch_base.py (read; VARIANTS.md ran it). The momentum is a sum, Polar
Express the default, and the scale √(rows/cols) is not clamped; decay takes the unscaled learning rate. Decay only where
signs agree is an option (`cautious_wd`).
Defaults: lr 0.01, mu 0.95, weight decay 0.01, eps 1e-8, no nesterov, "spectral_norm"; AdamW betas (0.9, 0.95), eps
1e-8.
"""

from __future__ import annotations

import math
from collections.abc import MutableMapping

from torch import Tensor

# arXiv:2505.16932 for [1e-3, 1] with safety 0.02.
POLAR_EXPRESS = [
    (8.156554524902461, -22.48329292557795, 15.878769915207462),
    (4.042929935166739, -2.808917465908714, 0.5000178451051316),
    (3.8916678022926607, -2.772484153217685, 0.5060648178503393),
    (3.285753657755655, -2.3681294933425376, 0.46449024233003106),
    (2.3465413258596377, -1.7097828382687081, 0.42323551169305323),
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
    """m ← μm + g, u = m, or g + μm; Polar Express of u/(1.02‖u‖ + 1e-8); θ ← θ(1 − ηλ) − η√(r/c)·O."""
    rows, cols = parameter.shape
    state["m"] = momentum * state["m"] + gradient
    update = gradient + momentum * state["m"] if nesterov else state["m"]
    x = update / (1.02 * update.norm() + 1e-8)
    for a, b, c in POLAR_EXPRESS:
        gram = x @ x.mT
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return parameter * (1 - lr * weight_decay) - lr * math.sqrt(rows / cols) * x
