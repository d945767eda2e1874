"""mlx.optimizers.Muon as it was in its first commit and as it is in MLX 0.32, in float64. Shares no code with the
compiler.

Source: python/mlx/optimizers/optimizers.py; that of 0.32.4 was read in the wheel, that of the first commit only in
VARIANTS.md. Both add the decay to the gradient, orthogonalise whatever has two dimensions or more (flattened to the
first dimension times the others, the scale from the last two of the unflattened shape), and leave the rest as plain
momentum. The first commit swaps the weights of Nesterov's step and adds its ε within the root, to the squared norm.
Defaults: momentum 0.95, weight_decay 0.01, nesterov, five steps; the learning rate has none.
"""

from __future__ import annotations

import math
from collections.abc import MutableMapping

from torch import Tensor


def seed(
    parameter: Tensor,
    gradient: Tensor,
    state: MutableMapping[str, Tensor],
    *,
    lr: float,
    momentum: float,
    weight_decay: float,
) -> Tensor:
    """g ← g + λθ, m ← μm + (1−μ)g, u = μg + (1−μ)m, X = u/√(Σu² + 1e-7); θ ← θ − η√max(1, r/c)·O."""
    gradient = gradient + weight_decay * parameter
    state["m"] = momentum * state["m"] + (1 - momentum) * gradient
    update = momentum * gradient + (1 - momentum) * state["m"]
    x = update.flatten(1) / math.sqrt(float(update.square().sum()) + 1e-7)
    for _ in range(5):
        gram = x @ x.mT
        x = 3.4445 * x - 4.7750 * gram @ x + 2.0315 * gram @ (gram @ x)
    scale = math.sqrt(max(1.0, parameter.shape[-2] / parameter.shape[-1]))
    return parameter - lr * scale * x.reshape(parameter.shape)


def seed_vector(
    parameter: Tensor,
    gradient: Tensor,
    state: MutableMapping[str, Tensor],
    *,
    lr: float,
    momentum: float,
    weight_decay: float,
) -> Tensor:
    """g ← g + λθ, m ← μm + (1−μ)g; θ ← θ − η(μg + (1−μ)m)."""
    gradient = gradient + weight_decay * parameter
    state["m"] = momentum * state["m"] + (1 - momentum) * gradient
    return parameter - lr * (momentum * gradient + (1 - momentum) * state["m"])


def muon(
    parameter: Tensor,
    gradient: Tensor,
    state: MutableMapping[str, Tensor],
    *,
    lr: float,
    momentum: float,
    weight_decay: float,
) -> Tensor:
    """g ← g + λθ, m ← μm + (1−μ)g, u = (1−μ)g + μm, X = u/(‖u‖ + 1e-7); θ ← θ − η√max(1, r/c)·O."""
    decayed = gradient + weight_decay * parameter
    state["m"] = momentum * state["m"] + (1 - momentum) * decayed
    update = (1 - momentum) * decayed + momentum * state["m"]
    x = update.reshape(len(update), -1)
    x = x / (x.norm() + 1e-7)
    for _ in range(5):
        gram = x.mT @ x
        x = x @ (2.0315 * gram @ gram - 4.7750 * gram) + 3.4445 * x
    rows, cols = parameter.shape[-2:]
    return parameter - lr * max(1.0, rows / cols) ** 0.5 * x.reshape(parameter.shape)


def vector(
    parameter: Tensor,
    gradient: Tensor,
    state: MutableMapping[str, Tensor],
    *,
    lr: float,
    momentum: float,
    weight_decay: float,
) -> Tensor:
    """g ← g + λθ, m ← μm + (1−μ)g; θ ← θ − η((1−μ)g + μm)."""
    decayed = gradient + weight_decay * parameter
    state["m"] = momentum * state["m"] + (1 - momentum) * decayed
    return parameter - lr * ((1 - momentum) * decayed + momentum * state["m"])
