"""Aurora: the polar factor with rows of equal norm, by scaling the rows before it, in float64. Shares no code with the
compiler.

Source: arXiv:2606.27715; tilde-research/aurora-release, src/aurora.py and src/polar.py, in a copy that says it is to
the byte (read), and microsoft/dion, dion/aurora_reference.py (read). They differ for wide matrices: dion takes the
scale of the transposed shape, √(cols/rows), the original √max(1, rows/cols) = 1, as here.
Defaults: lr 0.05, momentum 0.95, nesterov, weight decay 0.025, two rounds, β 0.5, eps 1e-7.
"""

from __future__ import annotations

from collections.abc import MutableMapping

from torch import Tensor


def polar(matrix: Tensor) -> Tensor:
    """Twelve steps of 2X − 1.5AX + 0.5A²X from M/(‖M‖ + 1e-7)."""
    x = matrix / (matrix.norm() + 1e-7)
    for _ in range(12):
        gram = x.mT @ x
        x = 2 * x + x @ (-1.5 * gram + 0.5 * gram @ gram)
    return x


def muon(
    parameter: Tensor,
    gradient: Tensor,
    state: MutableMapping[str, Tensor],
    *,
    lr: float,
    momentum: float,
    weight_decay: float,
    rounds: int = 2,
    beta: float = 0.5,
) -> Tensor:
    """m, u as Keller Jordan's, laid tall, n×k; D = 1/max(row norm, 1e-7); U = polar(Du); between two rounds
    D ← D·(k/n/row norm² of U)^β; θ ← θ(1 − ηλ) − η√max(1, r/c)·U. Square matrices: U = polar(u).
    """
    rows, cols = parameter.shape
    state["m"] = momentum * state["m"] + (1 - momentum) * gradient
    update = (1 - momentum) * gradient + momentum * state["m"]
    tall = update if rows > cols else update.mT
    result = polar(tall)
    if rows != cols:
        weights = 1 / tall.norm(dim=1, keepdim=True).clamp(min=1e-7)
        result = polar(weights * tall)
        for _ in range(rounds - 1):
            row_square = result.square().sum(1, keepdim=True).clamp(min=1e-14)
            weights = weights * (min(rows, cols) / max(rows, cols) / row_square) ** beta
            result = polar(weights * tall)
    direction = result if rows > cols else result.mT
    return parameter * (1 - lr * weight_decay) - lr * max(1.0, rows / cols) ** 0.5 * direction
