"""NorMuon as its authors publish it, and the form of modded-nanogpt, in float64. Shares no code with the compiler.

Source: arXiv:2510.05491; zichongli5/NorMuon, normuon.py at e5aaaf42fac9 (read; a transcription was run against `muon`);
modded-nanogpt, class NorMuon of the records of November 2025 (read): that one averages along the shorter side, clamps
instead of adding ε, takes Polar Express with 1.02‖u‖ + 1e-6, and decays by η²λ, times the scale, where update and
parameter agree in sign. The paper's text scales by 0.2η√(rc)/‖O‖ instead; the published code does not.
Defaults: lr 0.02, momentum 0.95, beta2 0.95, weight decay 0 (official), 0.01 (modded class; its records set 1.2).
"""

from __future__ import annotations

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
    beta2: float,
) -> Tensor:
    """m, u, O as Keller Jordan's; v ← β₂v + (1−β₂)·mean of each row of O²; N = O/(√v + 1e-10), times ‖O‖/(‖N‖ + 1e-10);
    θ ← θ(1 − ηλ) − η√max(1, r/c)·N.
    """
    rows, cols = parameter.shape
    state["m"] = momentum * state["m"] + (1 - momentum) * gradient
    update = (1 - momentum) * gradient + momentum * state["m"]
    x = update / (update.norm() + 1e-7)
    for _ in range(5):
        gram = x @ x.mT
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    state["v"] = beta2 * state["v"] + (1 - beta2) * (x * x).mean(dim=1, keepdim=True)
    normalised = x / (state["v"].sqrt() + 1e-10)
    normalised = normalised * x.norm() / (normalised.norm() + 1e-10)
    return parameter * (1 - lr * weight_decay) - lr * max(1.0, rows / cols) ** 0.5 * normalised


# arXiv:2505.16932 for [1e-3, 1] with safety 0.02, as modded-nanogpt prints it.
POLAR_EXPRESS = [
    (8.156554524902461, -22.48329292557795, 15.878769915207462),
    (4.042929935166739, -2.808917465908714, 0.5000178451051316),
    (3.8916678022926607, -2.772484153217685, 0.5060648178503393),
    (3.285753657755655, -2.3681294933425376, 0.46449024233003106),
    (2.3465413258596377, -1.7097828382687081, 0.42323551169305323),
]


def modded(
    parameter: Tensor,
    gradient: Tensor,
    state: MutableMapping[str, Tensor],
    *,
    lr: float,
    momentum: float,
    weight_decay: float,
    beta2: float,
) -> Tensor:
    """O = Polar Express of u/(1.02‖u‖ + 1e-6); v ← β₂v + (1−β₂)·mean(O²) over the short side; N = O/√max(v, 1e-10),
    times ‖O‖/max(‖N‖, 1e-10); θ ← θ − LN − L·ηλ·θ·[Nθ ≥ 0] with L = η√max(1, r/c).
    """
    rows, cols = parameter.shape
    state["m"] = state["m"] + (1 - momentum) * (gradient - state["m"])
    update = gradient + momentum * (state["m"] - gradient)
    x = update / (update.norm() * 1.02 + 1e-6)
    for a, b, c in POLAR_EXPRESS:
        gram = x.mT @ x
        x = a * x + x @ (b * gram + c * (gram @ gram))
    mean_square = x.square().mean(dim=1 if rows >= cols else 0, keepdim=True)
    state["v"] = beta2 * state["v"] + (1 - beta2) * mean_square
    normalised = x / state["v"].clamp(min=1e-10).sqrt()
    normalised = normalised * x.norm() / normalised.norm().clamp(min=1e-10)
    rate = lr * max(1.0, rows / cols) ** 0.5
    agree = (normalised * parameter >= 0).to(parameter.dtype)
    return parameter - rate * normalised - rate * lr * weight_decay * agree * parameter
