"""RMNP: each row of the momentum divided by its norm, without orthogonalisation, in float64. Shares no code with the
compiler.

Source: arXiv:2603.20527 by a page of formulas and by microsoft/dion, dion/rmnp.py (read), whose ε `muon` takes; dion
sums the gradients, which only that ε can tell. `authors` is `rnnp_update` of TDCSZ327/HTmuon, llama_pretraining/muon.py
(read), by the same authors: Nesterov's step, another ε, and Keller Jordan's scale.
Defaults: dion lr 0.01, mu 0.95, weight decay 0.01, eps 1e-8, no nesterov, no scale; authors' code beta 0.95, nesterov.
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
) -> Tensor:
    """m ← βm + (1−β)g; row i of D is mᵢ/(‖mᵢ‖ + 1e-8); θ ← θ(1 − ηλ) − ηD."""
    state["m"] = momentum * state["m"] + (1 - momentum) * gradient
    row_norm = state["m"].square().sum(1, keepdim=True).sqrt()
    return parameter * (1 - lr * weight_decay) - lr * state["m"] / (row_norm + 1e-8)


def authors(
    parameter: Tensor,
    gradient: Tensor,
    state: MutableMapping[str, Tensor],
    *,
    lr: float,
    momentum: float,
    weight_decay: float,
) -> Tensor:
    """m ← βm + (1−β)g, u = (1−β)g + βm; row i of D is uᵢ/(‖uᵢ‖ + 1e-12); θ ← θ(1 − ηλ) − η√max(1, r/c)·D."""
    rows, cols = parameter.shape
    state["m"] = momentum * state["m"] + (1 - momentum) * gradient
    update = (1 - momentum) * gradient + momentum * state["m"]
    direction = update / (update.norm(dim=1, keepdim=True) + 1e-12)
    return parameter * (1 - lr * weight_decay) - lr * max(1.0, rows / cols) ** 0.5 * direction
