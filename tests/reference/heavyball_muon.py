"""HeavyBall's Muon, in float64. Shares no code with the compiler.

Source: heavyball 3.2.1 (the wheel, read and run against these functions, its state in float32): nesterov_ema and
zeropower_via_newtonschulz5 of heavyball/utils.py. Nesterov's step adds the whole gradient to the average. Its μ is
betas[0]. Below two dimensions the step is the momentum's; above, the matrix is the first dimension times the others.
Defaults: lr 0.0025, μ 0.9, weight decay 0, nesterov.
"""

from __future__ import annotations

from collections.abc import MutableMapping

from torch import Tensor

# https://leloykun.github.io/ponder/muon-opt-coeffs
COEFFICIENTS = [
    (4.0848, -6.8946, 2.9270),
    (3.9505, -6.3029, 2.6377),
    (3.7418, -5.5913, 2.3037),
    (2.8769, -3.1427, 1.2046),
    (2.8366, -3.0525, 1.2012),
]


def muon(
    parameter: Tensor,
    gradient: Tensor,
    state: MutableMapping[str, Tensor],
    *,
    lr: float,
    momentum: float,
    weight_decay: float,
) -> Tensor:
    """m ← μm + (1−μ)g, u = g + m, X = u/max(‖u‖, 1e-7); θ ← θ(1 − ηλ) − η√max(1, r/c)·O."""
    state["m"] = momentum * state["m"] + (1 - momentum) * gradient
    update = (gradient + state["m"]).flatten(1)
    rows, cols = update.shape
    x = update / update.norm().clamp(min=1e-7)
    for a, b, c in COEFFICIENTS:
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return parameter * (1 - lr * weight_decay) - lr * max(1.0, rows / cols) ** 0.5 * x.reshape(parameter.shape)


def vector(
    parameter: Tensor,
    gradient: Tensor,
    state: MutableMapping[str, Tensor],
    *,
    lr: float,
    momentum: float,
    weight_decay: float,
) -> Tensor:
    """m ← μm + (1−μ)g; θ ← θ(1 − ηλ) − η(g + m)."""
    state["m"] = momentum * state["m"] + (1 - momentum) * gradient
    return parameter * (1 - lr * weight_decay) - lr * (gradient + state["m"])
