"""PolarGrad: the polar factor times the nuclear norm, by SVD and as Emerging-Optimizers computes it, in float64. Shares
no code with the compiler.

Source: arXiv:2505.21799; timlautk/polargrad, polar_grad.py (read): momentum first, the scale is ⟨m, U⟩. Its default
oracle is two iterations of QDWH, here the exact factor they approach. A singular value below 1e-12 of the largest
counts as zero. NVIDIA-NeMo/Emerging-Optimizers, polargrad.py (read): five different steps of Newton–Schulz.
Defaults: lr 0.02, momentum 0.95, weight decay 0; Emerging lr 3e-4, momentum 0.95, weight decay 0.01.
"""

from __future__ import annotations

from collections.abc import MutableMapping

import torch
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
    """m ← μm + (1−μ)g, m = UΣVᵀ; θ ← θ(1 − ηλ) − η·tr(Σ)·UVᵀ."""
    state["m"] = momentum * state["m"] + (1 - momentum) * gradient
    left, values, right = torch.linalg.svd(state["m"], full_matrices=False)
    kept = values > 1e-12 * values.max()
    return parameter * (1 - lr * weight_decay) - lr * values.sum() * left[:, kept] @ right[kept]


# https://leloykun.github.io/ponder/muon-opt-coeffs, as Emerging-Optimizers' "quintic" prints it.
QUINTIC = [
    (4.0848, -6.8946, 2.9270),
    (3.9505, -6.3029, 2.6377),
    (3.7418, -5.5913, 2.3037),
    (2.8769, -3.1427, 1.2046),
    (2.8366, -3.0525, 1.2012),
]


def emerging(
    parameter: Tensor,
    gradient: Tensor,
    state: MutableMapping[str, Tensor],
    *,
    lr: float,
    momentum: float,
    weight_decay: float,
) -> Tensor:
    """θ ← θ − ηλθ; m ← μm + (1−μ)g, X = m/max(‖m‖, 1e-15); θ ← θ − η⟨m, O⟩·O."""
    state["m"] = momentum * state["m"] + (1 - momentum) * gradient
    x = state["m"] / state["m"].norm().clamp(min=1e-15)
    for a, b, c in QUINTIC:
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return parameter - lr * weight_decay * parameter - lr * (x * state["m"]).sum() * x
