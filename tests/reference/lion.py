"""Lion, in float64. Shares no code with the compiler.

Source: arXiv:2302.06675, algorithm 2. The mix is of the momentum before it is updated. Checked against
pytorch_optimizer 4.1.0's Lion (the wheel, run). Defaults (pytorch_optimizer): lr 1e-4, betas (0.9, 0.99), weight decay
0; optax weight decay 1e-3.
"""

from __future__ import annotations

from collections.abc import MutableMapping

from torch import Tensor


def lion(
    parameter: Tensor,
    gradient: Tensor,
    state: MutableMapping[str, Tensor],
    *,
    lr: float,
    weight_decay: float,
    betas: tuple[float, float] = (0.9, 0.99),
) -> Tensor:
    """u = sign(β₁m + (1−β₁)g), m ← β₂m + (1−β₂)g; θ ← θ − η(u + λθ)."""
    beta1, beta2 = betas
    update = (beta1 * state["m"] + (1 - beta1) * gradient).sign()
    state["m"] = beta2 * state["m"] + (1 - beta2) * gradient
    return parameter - lr * (update + weight_decay * parameter)
