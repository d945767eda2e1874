"""torch.optim.Muon with `adjust_lr_fn="original"`, from its formulas, in float64. Shares no code with the compiler."""

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
    nesterov: bool = True,
) -> Tensor:
    """m ← μm + (1−μ)g; u = (1−μ)g + μm, or m without Nesterov; X = u/max(‖u‖, 1e-7); θ ← θ(1 − ηλ) − η√max(1, r/c)·O.

    Returns the new parameter and replaces `state["m"]`, which begins as zeros.
    """
    rows, cols = parameter.shape
    state["m"] = gradient + momentum * (state["m"] - gradient)
    update = gradient + momentum * (state["m"] - gradient) if nesterov else state["m"]
    x = update / max(float(update.norm()), 1e-7)
    for _ in range(5):
        # The products from the right, whatever the shape: X(aI + bXᵀX + c(XᵀX)²).
        gram = x.mT @ x
        x = 3.4445 * x - 4.7750 * (x @ gram) + 2.0315 * (x @ gram @ gram)
    return (1 - lr * weight_decay) * parameter - lr * math.sqrt(max(1.0, rows / cols)) * x
