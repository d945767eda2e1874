"""AdamW with Nesterov's momentum, in the three forms there are, in float64. Shares no code with the compiler.

Source: Dozat 2016. `scheduled` is torch.optim.NAdam(decoupled_weight_decay=True) of torch 2.13 (installed, run against
it; its running product is float32), where β₁ grows with the step; `optax` is optax.nadamw of optax 0.2.8 (the wheel,
read); `timm` is timm 1.0.31's NAdamW (the wheel, read and run), where both terms are corrected for the same step.
Defaults: torch lr 2e-3, betas (0.9, 0.999), eps 1e-8, weight decay 0, momentum_decay 4e-3; optax betas (0.9, 0.999),
eps 1e-8, weight decay 1e-4; timm lr 1e-3, betas (0.9, 0.999), eps 1e-8, weight decay 0.01.
"""

from __future__ import annotations

import math
from collections.abc import MutableMapping

from torch import Tensor


def scheduled(
    parameter: Tensor,
    gradient: Tensor,
    state: MutableMapping[str, Tensor],
    step: int,
    *,
    lr: float,
    weight_decay: float,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    momentum_decay: float = 4e-3,
) -> Tensor:
    """θ ← θ(1 − ηλ); μₜ = β₁(1 − 0.96^(tψ)/2); m, v as Adam's;
    θ ← θ − η((1 − μₜ)g/(1 − Πμ₁…μₜ) + μₜ₊₁m/(1 − Πμ₁…μₜ₊₁))/(√v̂ + ε).
    """
    beta1, beta2 = betas
    mus = [beta1 * (1 - 0.5 * 0.96 ** (each * momentum_decay)) for each in range(1, step + 2)]
    state["m"] = beta1 * state["m"] + (1 - beta1) * gradient
    state["v"] = beta2 * state["v"] + (1 - beta2) * gradient.square()
    first = (1 - mus[-2]) * gradient / (1 - math.prod(mus[:-1])) + mus[-1] * state["m"] / (1 - math.prod(mus))
    denominator = (state["v"] / (1 - beta2**step)).sqrt() + eps
    return parameter * (1 - lr * weight_decay) - lr * first / denominator


def optax(
    parameter: Tensor,
    gradient: Tensor,
    state: MutableMapping[str, Tensor],
    step: int,
    *,
    lr: float,
    weight_decay: float,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
) -> Tensor:
    """m, v as Adam's; θ ← θ − η((β₁m/(1 − β₁ᵗ⁺¹) + (1−β₁)g/(1 − β₁ᵗ))/(√v̂ + ε) + λθ)."""
    beta1, beta2 = betas
    state["m"] = beta1 * state["m"] + (1 - beta1) * gradient
    state["v"] = beta2 * state["v"] + (1 - beta2) * gradient**2
    first = beta1 * state["m"] / (1 - beta1 ** (step + 1)) + (1 - beta1) * gradient / (1 - beta1**step)
    second = (state["v"] / (1 - beta2**step)).sqrt()
    return parameter - lr * (first / (second + eps) + weight_decay * parameter)


def timm(
    parameter: Tensor,
    gradient: Tensor,
    state: MutableMapping[str, Tensor],
    step: int,
    *,
    lr: float,
    weight_decay: float,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
) -> Tensor:
    """θ ← θ(1 − ηλ); m, v as Adam's; θ ← θ − η/(1 − β₁ᵗ)·(β₁m + (1−β₁)g)/(√v̂ + ε)."""
    beta1, beta2 = betas
    state["m"] = beta1 * state["m"] + (1 - beta1) * gradient
    state["v"] = beta2 * state["v"] + (1 - beta2) * gradient * gradient
    first = (beta1 * state["m"] + (1 - beta1) * gradient) / (1 - beta1**step)
    second = state["v"] / (1 - beta2**step)
    return parameter * (1 - lr * weight_decay) - lr * first / (second.sqrt() + eps)
