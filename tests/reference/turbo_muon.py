"""Turbo-Muon: almost-orthogonal rescaling of the rows instead of a norm, then four steps, in float64. Shares no code
with the compiler.

Source: arXiv:2512.04632 and thib-s/flash-newton-schulz, newton_schulz_triton.py (NS_ours). The stored version of that
file, 145260f4b49c, takes the last four of the five steps of modded-nanogpt's medium track (`RECORD`) and clamps the sum
of a row at 1e-7; the four of `TURBO`, which VARIANTS.md calls the current ones, could not be seen there. Rows are those
of the matrix laid on its long side. Momentum, scale and decay are Keller Jordan's, for which the paper replaces the
norm.
Defaults: those of Keller Jordan's Muon, lr 0.02, momentum 0.95, weight decay 0.
"""

from __future__ import annotations

from collections.abc import MutableMapping

from torch import Tensor

Coefficients = list[tuple[float, float, float]]

# VARIANTS.md, `turbo4`.
TURBO: Coefficients = [
    (4.6051, -9.6552, 5.6769),
    (4.7505, -6.0861, 2.1790),
    (2.7763, -2.3190, 0.5523),
    (2.4231, -2.2861, 0.8193),
]
# modded-nanogpt, records/track_1_short/2025-11-11_TurboMuon.
RECORD: Coefficients = [
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
    coefficients: Coefficients = TURBO,
    eps: float = 1e-7,
) -> Tensor:
    """m ← μm + (1−μ)g, u = (1−μ)g + μm; row i of X is that of u over √max(Σⱼ|uuᵀ|ᵢⱼ, ε); four steps;
    θ ← θ(1 − ηλ) − η√max(1, r/c)·O.
    """
    rows, cols = parameter.shape
    state["m"] = momentum * state["m"] + (1 - momentum) * gradient
    update = (1 - momentum) * gradient + momentum * state["m"]
    x = update.mT if rows > cols else update
    x = x / (x @ x.mT).abs().sum(1, keepdim=True).clamp(min=eps).sqrt()
    for a, b, c in coefficients:
        gram = x @ x.mT
        x = a * x + b * gram @ x + c * gram @ gram @ x
    orthogonal = x.mT if rows > cols else x
    return parameter * (1 - lr * weight_decay) - lr * max(1.0, rows / cols) ** 0.5 * orthogonal
