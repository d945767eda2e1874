"""nanochat's newest MuonAdamW, with row equilibration and renormalisation, in float64. Shares no code with the
compiler.

Source: karpathy/nanochat, nanochat/optim.py at 0e4b3faded62 (read; a transcription of its kernel was run against this):
it has row equilibration before the norm, which is enlarged by 1.01, and gives the polar factor the norm √min(r, c)
before NorMuon's second moment. arXiv:2603.28254, 2602.21545, 2505.16932, 2510.05491. Defaults (nanochat's set-up):
momentum 0.85 → 0.97 over 400 steps → 0.90 at the end, beta2 0.9, five steps, decay by a cosine to zero; AdamW betas
(0.8, 0.95), eps 1e-10.
"""

from __future__ import annotations

from collections.abc import MutableMapping

from torch import Tensor

# arXiv:2505.16932 for [1e-3, 1] with safety 0.02.
COEFFICIENTS = [
    (8.156554524902461, -22.48329292557795, 15.878769915207462),
    (4.042929935166739, -2.808917465908714, 0.5000178451051316),
    (3.8916678022926607, -2.772484153217685, 0.5060648178503393),
    (3.285753657755655, -2.3681294933425376, 0.46449024233003106),
    (2.3465413258596377, -1.7097828382687081, 0.42323551169305323),
]


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
    """m, u as Keller Jordan's; each row of u gets the norm ‖u‖/√r; G = Polar Express of that /(1.01‖·‖ + 1e-6), with
    ‖G‖ made √min(r, c); v ← β₂v + (1−β₂)·mean(G²) over the short side; G ← G/√v with ‖G‖ kept;
    θ ← θ − LG − Lλθ·[Gθ ≥ 0] with L = η√max(1, r/c).
    """
    rows, cols = parameter.shape
    state["m"] = momentum * state["m"] + (1 - momentum) * gradient
    update = (1 - momentum) * gradient + momentum * state["m"]
    row_norm = update.square().sum(1, keepdim=True).sqrt().clamp(min=1e-6)
    x = update * (update.norm() / rows**0.5 / row_norm)
    x = x / (1.01 * x.norm() + 1e-6)
    for a, b, c in COEFFICIENTS:
        gram = x.mT @ x
        x = a * x + x @ (b * gram + c * gram @ gram)
    x = x * (min(rows, cols) ** 0.5 / x.norm().clamp(min=1e-6))
    state["v"] = beta2 * state["v"] + (1 - beta2) * x.square().mean(1 if rows >= cols else 0, keepdim=True)
    adapted = x * state["v"].clamp(min=1e-10).rsqrt()
    adapted = adapted * x.norm() / adapted.norm().clamp(min=1e-10)
    rate = lr * max(1.0, rows / cols) ** 0.5
    return parameter - rate * adapted - rate * weight_decay * parameter * (adapted * parameter >= 0)


def adamw(
    parameter: Tensor,
    gradient: Tensor,
    state: MutableMapping[str, Tensor],
    step: int,
    *,
    lr: float,
    weight_decay: float,
    betas: tuple[float, float] = (0.8, 0.95),
) -> Tensor:
    """θ ← θ(1 − ηλ); m, v as Adam's; θ ← θ − η/(1 − β₁ᵗ)·m/(√(v/(1 − β₂ᵗ)) + 1e-10)."""
    beta1, beta2 = betas
    state["m"] = beta1 * state["m"] + (1 - beta1) * gradient
    state["v"] = beta2 * state["v"] + (1 - beta2) * gradient.square()
    denominator = (state["v"] / (1 - beta2**step)).sqrt() + 1e-10
    return parameter * (1 - lr * weight_decay) - lr / (1 - beta1**step) * state["m"] / denominator
