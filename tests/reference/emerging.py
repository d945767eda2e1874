"""The Muon of NVIDIA's Emerging-Optimizers with two sets of coefficients, and its hyperball and Stiefel forms, in
float64. Shares no code with the compiler.

Source: NVIDIA-NeMo/Emerging-Optimizers, orthogonalized_optimizers/{muon, muon_utils, orthogonalized_optimizer,
muon_hyperball, spel}.py (read; the norm is clamped at 1e-15 in 0.3.0 by VARIANTS.md, at 1e-7 in an older one); the CANS
set (arXiv:2506.10935) as TransformerEngine's copy prints it; at a singular value of 1 it magnifies relative errors
48,500 times, so one row or one column in fp32 is 4e-3 off. Decay comes first, by ηλ; no Nesterov step; scale √max(r, c)
("spectral") times `extra_scale`. MuonHyperball: the radius is the parameter's norm after decay, so without decay its
first norm. Spel: arXiv:2601.21487, no scale, the parameter itself is orthogonalised after the step.
Defaults: lr 3e-4, momentum 0.95, weight decay 0.01 (Spel 0.1), five steps, extra scale 1, hyperball eps 1e-8.
"""

from __future__ import annotations

from collections.abc import MutableMapping

from torch import Tensor

# https://leloykun.github.io/ponder/muon-opt-coeffs
QUINTIC = [
    (4.0848, -6.8946, 2.9270),
    (3.9505, -6.3029, 2.6377),
    (3.7418, -5.5913, 2.3037),
    (2.8769, -3.1427, 1.2046),
    (2.8366, -3.0525, 1.2012),
]
# arXiv:2506.10935
CANS = [
    (8.4703, -25.1081, 18.6293),
    (4.1828, -3.1087, 0.5806),
    (3.9619, -2.9541, 0.5630),
    (3.2866, -2.4647, 0.5074),
    (2.2737, -1.6447, 0.4162),
]


def quintic(
    parameter: Tensor,
    gradient: Tensor,
    state: MutableMapping[str, Tensor],
    *,
    lr: float,
    momentum: float,
    weight_decay: float,
    extra_scale: float = 1.0,
) -> Tensor:
    """θ ← θ − ηλθ; m ← μm + (1−μ)g, X = m/max(‖m‖, 1e-15), one step of each of `QUINTIC`; θ ← θ − η√max(r, c)·O."""
    state["m"] = momentum * state["m"] + (1 - momentum) * gradient
    x = state["m"] / state["m"].norm().clamp(min=1e-15)
    for a, b, c in QUINTIC:
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return parameter - lr * weight_decay * parameter - lr * max(parameter.shape) ** 0.5 * extra_scale * x


def cans(
    parameter: Tensor,
    gradient: Tensor,
    state: MutableMapping[str, Tensor],
    *,
    lr: float,
    momentum: float,
    weight_decay: float,
    extra_scale: float = 1.0,
) -> Tensor:
    """θ ← θ − ηλθ; m ← μm + (1−μ)g, X = m/max(‖m‖, 1e-15), one step of each of `CANS`; θ ← θ − η√max(r, c)·O."""
    rows, cols = parameter.shape
    state["m"] = state["m"] + (1 - momentum) * (gradient - state["m"])
    x = state["m"] / max(float(state["m"].norm()), 1e-15)
    for a, b, c in CANS:
        gram = x.mT @ x
        x = a * x + b * x @ gram + c * x @ gram @ gram
    return parameter * (1 - lr * weight_decay) - lr * extra_scale * max(rows, cols) ** 0.5 * x


def hyperball(
    parameter: Tensor,
    gradient: Tensor,
    state: MutableMapping[str, Tensor],
    *,
    lr: float,
    momentum: float,
    weight_decay: float,
) -> Tensor:
    """θ ← θ − ηλθ, R = ‖θ‖; O of m as `quintic`'s, U = √max(r, c)·O; θ ← θ − ηR·U/max(‖U‖, 1e-8);
    θ ← Rθ/max(‖θ‖, 1e-8).
    """
    state["m"] = momentum * state["m"] + (1 - momentum) * gradient
    x = state["m"] / state["m"].norm().clamp(min=1e-15)
    for a, b, c in QUINTIC:
        gram = x @ x.mT
        x = a * x + b * gram @ x + c * gram @ gram @ x
    update = x * max(parameter.shape) ** 0.5
    decayed = parameter * (1 - lr * weight_decay)
    radius = decayed.norm()
    moved = decayed - lr * radius * update / update.norm().clamp(min=1e-8)
    return moved * radius / moved.norm().clamp(min=1e-8)


def spel(
    parameter: Tensor,
    gradient: Tensor,
    state: MutableMapping[str, Tensor],
    *,
    lr: float,
    momentum: float,
    weight_decay: float,
) -> Tensor:
    """θ ← θ − ηλθ; m ← μm + (1−μ)g; θ ← N(θ − ηN(m)), with N the five steps of `QUINTIC` after /max(‖·‖, 1e-15)."""
    state["m"] = momentum * state["m"] + (1 - momentum) * gradient
    direction = state["m"] / state["m"].norm().clamp(min=1e-15)
    for a, b, c in QUINTIC:
        gram = direction.mT @ direction
        direction = a * direction + direction @ (b * gram + c * gram @ gram)
    x = parameter * (1 - lr * weight_decay) - lr * direction
    x = x / x.norm().clamp(min=1e-15)
    for a, b, c in QUINTIC:
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x
