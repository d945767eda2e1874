"""SignMuon on one worker: the sign of the orthogonalised momentum, with coupled decay, in float64. Shares no code with
the compiler.

Source: arXiv:2605.16311, by a page of formulas ("Canon", signmuon.md) that agrees with VARIANTS.md; the paper itself
was not found, and not its coefficients, steps and ε: Keller Jordan's are taken. Where an entry of the orthogonalised
matrix is nearly zero its sign is that of a rounding error.
Defaults: not established.
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
    """g ← g + λθ, m ← βm + (1−β)g, X = m/(‖m‖ + 1e-7); θ ← θ − η·sign(O)."""
    state["m"] = momentum * state["m"] + (1 - momentum) * (gradient + weight_decay * parameter)
    x = state["m"] / (state["m"].norm() + 1e-7)
    for _ in range(5):
        gram = x @ x.mT
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return parameter - lr * x.sign()
