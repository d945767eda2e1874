"""Scion: steps to the minimiser of a linear function over a ball of a norm, in float64. Shares no code with the
compiler.

Source: arXiv:2502.07529; LIONS-EPFL/scion, scion.py at a86f93e67d05 (read). What it calls momentum, α, is 1 − μ: here
`momentum` is μ, and μ = 0 is its default, α = 1. Constrained, it decays by η alone (`weight_decay` 1); with
`unconstrained=True` not at all (0). `radius` is its `scale`. Norm "Auto" is `spectral` for matrices, `spectral_conv`
for kernels and `bias_rms` for the rest; `sign` is for embeddings and heads.
Defaults: lr 1e-3, α 1, scale 1, constrained, five steps.
"""

from __future__ import annotations

import math
from collections.abc import MutableMapping

from torch import Tensor


def spectral(
    parameter: Tensor,
    gradient: Tensor,
    state: MutableMapping[str, Tensor],
    *,
    lr: float,
    momentum: float,
    weight_decay: float = 1.0,
    radius: float = 1.0,
) -> Tensor:
    """m ← μm + (1−μ)g, X = m/(‖m‖ + 1e-7); θ ← (1 − η)θ − η·radius·√(r/c)·O."""
    rows, cols = parameter.shape
    state["m"] = momentum * state["m"] + (1 - momentum) * gradient
    x = state["m"] / (state["m"].norm() + 1e-7)
    for _ in range(5):
        gram = x @ x.mT
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return parameter * (1 - lr * weight_decay) - lr * radius * math.sqrt(rows / cols) * x


def spectral_conv(
    parameter: Tensor,
    gradient: Tensor,
    state: MutableMapping[str, Tensor],
    *,
    lr: float,
    momentum: float,
    weight_decay: float = 1.0,
    radius: float = 1.0,
) -> Tensor:
    """Of a kernel of n dimensions of size k: as above, of the flattened matrix, with the scale √(out/in)/kⁿ."""
    out_channels, in_channels, size = parameter.shape[:3]
    state["m"] = momentum * state["m"] + (1 - momentum) * gradient
    x = state["m"].flatten(1)
    x = x / (x.norm() + 1e-7)
    for _ in range(5):
        gram = x @ x.mT
        x = 3.4445 * x - 4.7750 * gram @ x + 2.0315 * gram @ (gram @ x)
    scale = math.sqrt(out_channels / in_channels) / size ** (parameter.ndim - 2)
    return parameter * (1 - lr * weight_decay) - lr * radius * scale * x.reshape(parameter.shape)


def bias_rms(
    parameter: Tensor,
    gradient: Tensor,
    state: MutableMapping[str, Tensor],
    *,
    lr: float,
    momentum: float,
    weight_decay: float = 1.0,
    radius: float = 1.0,
) -> Tensor:
    """m ← μm + (1−μ)g; θ ← (1 − η)θ − η·radius·m/(√mean(m²) + 1e-8)."""
    state["m"] = momentum * state["m"] + (1 - momentum) * gradient
    direction = state["m"] / (state["m"].square().mean().sqrt() + 1e-8)
    return parameter * (1 - lr * weight_decay) - lr * radius * direction


def sign(
    parameter: Tensor,
    gradient: Tensor,
    state: MutableMapping[str, Tensor],
    *,
    lr: float,
    momentum: float,
    weight_decay: float = 1.0,
    radius: float = 1.0,
) -> Tensor:
    """m ← μm + (1−μ)g; θ ← (1 − η)θ − η·radius·sign(m)/cols."""
    state["m"] = momentum * state["m"] + (1 - momentum) * gradient
    return parameter * (1 - lr * weight_decay) - lr * radius * state["m"].sign() / parameter.shape[1]
