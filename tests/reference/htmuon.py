"""HTMuon: singular values raised to a small power instead of made one, in float64. Shares no code with the compiler.

Source: arXiv:2603.10067; TDCSZ327/HTmuon, llama_pretraining/muon.py at 00ae0233d342 (read),
`muon_generalized_ht_update_v2`: Nesterov's step and the scale √max(1, rows/cols). A page of formulas, and VARIANTS.md
after it, have no Nesterov step and max(1, rows/cols) without the root: `paper`. Nothing is normalised, so the update's
size depends on the gradient's. A singular value of zero stays zero; one of 1e-9, as fp32 finds for it, does not.
Defaults: momentum 0.95, nesterov, power 0.125 (function: 0.25), learning rate of the runs 0.005 to 0.03, weight decay
0.1.
"""

from __future__ import annotations

import math
from collections.abc import MutableMapping

import torch
from torch import Tensor


def muon(
    parameter: Tensor,
    gradient: Tensor,
    state: MutableMapping[str, Tensor],
    *,
    lr: float,
    momentum: float,
    weight_decay: float,
    power: float = 0.125,
) -> Tensor:
    """m ← βm + (1−β)g, u = (1−β)g + βm = UΣVᵀ; θ ← θ(1 − ηλ) − η√max(1, r/c)·UΣᵖVᵀ."""
    rows, cols = parameter.shape
    state["m"] = momentum * state["m"] + (1 - momentum) * gradient
    left, values, right = torch.linalg.svd((1 - momentum) * gradient + momentum * state["m"], full_matrices=False)
    direction = (left * values**power) @ right
    return parameter * (1 - lr * weight_decay) - lr * math.sqrt(max(1.0, rows / cols)) * direction


def paper(
    parameter: Tensor,
    gradient: Tensor,
    state: MutableMapping[str, Tensor],
    *,
    lr: float,
    momentum: float,
    weight_decay: float,
    power: float = 0.125,
) -> Tensor:
    """m ← βm + (1−β)g = UΣVᵀ; θ ← θ(1 − ηλ) − η·max(1, r/c)·UΣᵖVᵀ."""
    rows, cols = parameter.shape
    state["m"] = momentum * state["m"] + (1 - momentum) * gradient
    left, values, right = torch.linalg.svd(state["m"], full_matrices=False)
    direction = left @ torch.diag(values**power) @ right
    return parameter * (1 - lr * weight_decay) - lr * max(1.0, rows / cols) * direction
