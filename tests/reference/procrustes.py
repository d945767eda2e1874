"""Muon as the solution of an orthogonal Procrustes problem, by SVD or by an inverse square root, in float64. Shares no
code with the compiler.

Source: VARIANTS.md alone ("blog seed Muon"); its text could not be found. Not established there: how many steps the
inverse square root takes, and whether the clipped momentum is what the state keeps. Here it is kept, as the clipping is
said to be in place, and `steps` and `eps` are arguments. A singular value below 1e-12 of the largest counts as zero and
contributes nothing, where U·Vᵀ would be arbitrary.
Defaults: momentum 0.9, weight_decay 0.01, eps 1e-8 (for what is not a matrix), no clipping.
"""

from __future__ import annotations

from collections.abc import MutableMapping

import torch
from torch import Tensor


def svd(
    parameter: Tensor,
    gradient: Tensor,
    state: MutableMapping[str, Tensor],
    *,
    lr: float,
    momentum: float,
    weight_decay: float,
    clip: float | None = None,
) -> Tensor:
    """m ← βm + (1−β)g, m ← m·clip/(‖m‖ + 1e-12) if ‖m‖ > clip; m = UΣVᵀ; θ ← θ(1 − ηλ) − ηUVᵀ."""
    state["m"] = momentum * state["m"] + (1 - momentum) * gradient
    if clip is not None and state["m"].norm() > clip:
        state["m"] = state["m"] * clip / (state["m"].norm() + 1e-12)
    left, values, right = torch.linalg.svd(state["m"], full_matrices=False)
    kept = values > 1e-12 * values.max()
    return parameter * (1 - lr * weight_decay) - lr * left[:, kept] @ right[kept]


def newton_schulz(
    parameter: Tensor,
    gradient: Tensor,
    state: MutableMapping[str, Tensor],
    *,
    lr: float,
    momentum: float,
    weight_decay: float,
    clip: float | None = None,
    steps: int = 10,
    eps: float = 1e-8,
) -> Tensor:
    """m and clip as above; S = mᵀm + εI, t = tr S; Y = S/(t + ε), Z = I; each step T = (3I − ZY)/2, Y ← YT, Z ← TZ;
    θ ← θ(1 − ηλ) − η·mZ/√(t + ε).
    """
    state["m"] = (1 - momentum) * gradient + momentum * state["m"]
    norm = float(state["m"].norm())
    if clip is not None and norm > clip:
        state["m"] = state["m"] * (clip / (norm + 1e-12))
    one = torch.eye(parameter.shape[1], dtype=parameter.dtype)
    gram = state["m"].mT @ state["m"] + eps * one
    total = gram.trace() + eps
    y, z = gram / total, one
    for _ in range(steps):
        t = 1.5 * one - 0.5 * z @ y
        y, z = y @ t, t @ z
    return parameter * (1 - lr * weight_decay) - lr * state["m"] @ z / total.sqrt()


def vector(
    parameter: Tensor,
    gradient: Tensor,
    state: MutableMapping[str, Tensor],
    *,
    lr: float,
    momentum: float,
    weight_decay: float,
    clip: float | None = None,
    eps: float = 1e-8,
) -> Tensor:
    """m and clip as above; θ ← θ(1 − ηλ) − η·m/√(mean(m²) + ε)."""
    state["m"] = momentum * state["m"] + (1 - momentum) * gradient
    if clip is not None and state["m"].norm() > clip:
        state["m"] = clip * state["m"] / (state["m"].norm() + 1e-12)
    return parameter * (1 - lr * weight_decay) - lr * state["m"] / (state["m"].square().mean() + eps).sqrt()
