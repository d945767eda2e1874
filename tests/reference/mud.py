"""MUD: a triangular solve with the rows' inner products instead of an orthogonalisation, in float64. Shares no code
with the compiler.

Source: arXiv:2603.17970, algorithm 2 and equation 10, by a page of formulas and by two unofficial codes that quote them
(read): tall matrices are transposed, ε is 1e-8, and 0.2√max(r, c) is the constant of the paper's appendix A. A row of
zeros makes the triangle singular, in those codes too: here it stays a row of zeros.
Defaults: one pass, nesterov; the rest not established.
"""

from __future__ import annotations

import math
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
    passes: int = 1,
) -> Tensor:
    """m ← βm + g, Q = g + βm, laid wide; each pass: rows of Q over (norm + 1e-8), Q ← tril(QQᵀ)⁻¹Q, rows of Q over
    (norm + 1e-8); θ ← θ(1 − ηλ) − 0.2η√max(r, c)·Q.
    """
    rows, cols = parameter.shape
    state["m"] = momentum * state["m"] + gradient
    update = gradient + momentum * state["m"]
    q = update.mT if rows > cols else update
    for _ in range(passes):
        q = q / (q.norm(dim=1, keepdim=True) + 1e-8)
        triangle = (q @ q.mT).tril()
        empty = triangle.diagonal() == 0
        q = torch.linalg.solve_triangular(triangle + empty.to(q.dtype).diag(), q, upper=False)
        q = q / (q.norm(dim=1, keepdim=True) + 1e-8)
    direction = q.mT if rows > cols else q
    return parameter * (1 - lr * weight_decay) - 0.2 * lr * math.sqrt(max(rows, cols)) * direction
