"""Muon²: the momentum over the root of the second moment, before the orthogonalisation, in float64. Shares no code with
the compiler.

Source: arXiv:2604.09967. No code of the authors was found. `muon` is modded-nanogpt, records/track_3_optimization,
20260501_muonsq/train_gpt_simple_muonsq.py (read), which is also what VARIANTS.md says; `dion` is microsoft/dion,
dion/muon2.py (read). The paper's own algorithm, in a reader's notes, sums the gradients, takes no Nesterov step and
leaves ε without a value; Newton–Schulz being what it is, neither factor nor sum matters but for Nesterov's step.
Defaults: record lr 0.1, momentum 0.95, nesterov, beta2 0.95, eps 1e-10, weight decay 0.0125; dion lr 0.01, mu 0.95, no
nesterov, beta2 0.95, eps 1e-8, weight decay 0.01.
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
    beta2: float,
) -> Tensor:
    """m ← μm + (1−μ)g, v ← β₂v + (1−β₂)g², u = ((1−μ)g + μm)/(√v + 1e-10), X = u/(‖u‖ + 1e-7), twelve steps
    2X − 1.5AX + 0.5A²X; θ ← θ(1 − ηλ) − η√max(1, r/c)·O.
    """
    rows, cols = parameter.shape
    state["m"] = momentum * state["m"] + (1 - momentum) * gradient
    state["v"] = beta2 * state["v"] + (1 - beta2) * gradient.square()
    update = ((1 - momentum) * gradient + momentum * state["m"]) / (state["v"].sqrt() + 1e-10)
    x = update / (update.norm() + 1e-7)
    for _ in range(12):
        gram = x @ x.mT
        x = 2 * x - 1.5 * gram @ x + 0.5 * gram @ gram @ x
    return parameter * (1 - lr * weight_decay) - lr * math.sqrt(max(1.0, rows / cols)) * x


# arXiv:2505.16932 for [1e-3, 1] with safety 0.02, as dion prints it.
POLAR_EXPRESS = [
    (8.156554524902461, -22.48329292557795, 15.878769915207462),
    (4.042929935166739, -2.808917465908714, 0.5000178451051316),
    (3.8916678022926607, -2.772484153217685, 0.5060648178503393),
    (3.285753657755655, -2.3681294933425376, 0.46449024233003106),
    (2.3465413258596377, -1.7097828382687081, 0.42323551169305323),
]


def dion(
    parameter: Tensor,
    gradient: Tensor,
    state: MutableMapping[str, Tensor],
    *,
    lr: float,
    momentum: float,
    weight_decay: float,
    beta2: float,
) -> Tensor:
    """m ← μm + g, v ← β₂v + (1−β₂)g², u = m/(√v + 1e-8), Polar Express of u/(1.02‖u‖ + 1e-8);
    θ ← θ(1 − ηλ) − η√(r/c)·O.
    """
    rows, cols = parameter.shape
    state["m"] = momentum * state["m"] + gradient
    state["v"] = beta2 * state["v"] + (1 - beta2) * gradient * gradient
    update = state["m"] / (state["v"].sqrt() + 1e-8)
    x = update / (1.02 * update.norm() + 1e-8)
    for a, b, c in POLAR_EXPRESS:
        gram = x.mT @ x
        x = a * x + x @ (b * gram + c * gram @ gram)
    return parameter * (1 - lr * weight_decay) - lr * math.sqrt(rows / cols) * x
