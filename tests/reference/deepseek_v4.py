"""Muon of DeepSeek-V4: eight steps of Newton–Schulz that are fast and two that converge, in float64. Shares no code
with the compiler.

Source: the DeepSeek-V4 report, algorithm 1 and equation 28, read in two translations and a reader's transcription,
which agree: the momentum is a sum, M₀ = M/‖M‖ has no ε (so that a gradient of zeros gives NaN here), the RMS is made γ
= 0.18 by √max(r, c)·γ. Emerging-Optimizers' "deepseekv4" set is the same ten steps in its own Muon: `emerging`.
Defaults: momentum 0.95, weight decay 0.1, γ 0.18, nesterov; AdamW for embeddings, head, norms and gates.
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
    rms: float = 0.18,
) -> Tensor:
    """m ← μm + g, X = (μm + g)/‖μm + g‖; eight steps (3.4445, −4.7750, 2.0315), two (2, −1.5, 0.5);
    θ ← θ(1 − ηλ) − η·0.18√max(r, c)·O.
    """
    state["m"] = momentum * state["m"] + gradient
    update = momentum * state["m"] + gradient
    x = update / update.norm()
    for step in range(10):
        a, b, c = (3.4445, -4.7750, 2.0315) if step < 8 else (2.0, -1.5, 0.5)
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return parameter * (1 - lr * weight_decay) - lr * rms * math.sqrt(max(parameter.shape)) * x


def emerging(
    parameter: Tensor,
    gradient: Tensor,
    state: MutableMapping[str, Tensor],
    *,
    lr: float,
    momentum: float,
    weight_decay: float,
    extra_scale: float = 1.0,
) -> Tensor:
    """θ ← θ − ηλθ; m ← μm + (1−μ)g, X = m/max(‖m‖, 1e-15), the same ten steps; θ ← θ − η√max(r, c)·O."""
    state["m"] = momentum * state["m"] + (1 - momentum) * gradient
    x = state["m"] / state["m"].norm().clamp(min=1e-15)
    for a, b, c in [(3.4445, -4.7750, 2.0315)] * 8 + [(2.0, -1.5, 0.5)] * 2:
        gram = x.mT @ x
        x = a * x + b * x @ gram + c * x @ gram @ gram
    return parameter - lr * weight_decay * parameter - lr * extra_scale * math.sqrt(max(parameter.shape)) * x
