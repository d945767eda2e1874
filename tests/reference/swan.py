"""SWAN: the gradient with its rows standardised, whitened, and given its norm back, in float64. Shares no code with the
compiler.

Source: arXiv:2412.13148, algorithms 2 and 3, by a page of formulas, a restatement in another paper and unofficial
codes, which agree on the operators and on the coupled iteration, not on its β (0.5, which converges; 0.8 in one) nor on
its steps (6 or 10), nor on any ε. Here 1e-8 is added under the root of the row's variance and to each norm.
Standardised rows sum to zero, so that a matrix with no more columns than rows is singular; the iteration gives such
directions nothing.
Defaults: no state; ten steps; the rest not established.
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
    steps: int = 10,
    weight_decay: float = 0.0,
) -> Tensor:
    """G̃ = (G − row mean)/√(row variance + 1e-8); X = G̃/(‖G̃‖ + 1e-8), Y = XXᵀ, Z = I; each step T = (3I − ZY)/2, Y ← YT,
    Z ← TZ; θ ← θ(1 − ηλ) − η‖G̃‖/(‖ZX‖ + 1e-8)·ZX.
    """
    centred = gradient - gradient.mean(1, keepdim=True)
    standard = centred / (centred.square().mean(1, keepdim=True) + 1e-8).sqrt()
    x = standard / (standard.norm() + 1e-8)
    one = torch.eye(len(x), dtype=x.dtype)
    y, z = x @ x.mT, one
    for _ in range(steps):
        t = 0.5 * (3 * one - z @ y)
        y, z = y @ t, t @ z
    whitened = z @ x
    return parameter * (1 - lr * weight_decay) - lr * standard.norm() / (whitened.norm() + 1e-8) * whitened
