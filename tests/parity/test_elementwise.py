"""The specs without matrices against the optimizers of torch whose states and checkpoints they share."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch.nn import Parameter

from generated.adamw import Adamw
from generated.sgd_momentum import SgdMomentum
from tests.runtime.subjects import advance, random

SHAPES = ((6, 4), (5,), (), (2, 3, 3))
PAIRS = (
    (Adamw, torch.optim.AdamW, {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-6, "weight_decay": 0.1}),
    (SgdMomentum, torch.optim.SGD, {"lr": 0.01, "momentum": 0.8, "weight_decay": 0.1}),
)
each_pair = pytest.mark.parametrize(("ours", "theirs", "hypers"), PAIRS, ids=["adamw", "sgd"])


def parameters() -> list[Parameter]:
    return [Parameter(random(shape, index)) for index, shape in enumerate(SHAPES)]


def all_of(optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    return [each for group in optimizer.param_groups for each in group["params"]]


@each_pair
def test_a_checkpoint_of_torch_continues_here_and_one_of_ours_there(ours: Any, theirs: Any, hypers: Any) -> None:
    start = theirs(parameters(), **hypers)
    advance(start, range(3))
    begun = [Parameter(each.detach().clone()) for each in all_of(start)]
    continued = ours(begun, lr=1.0)
    continued.load_state_dict(copy.deepcopy(start.state_dict()))
    assert continued.param_groups[0]["lr"] == hypers["lr"]
    back = theirs([Parameter(each.detach().clone()) for each in begun], lr=1.0)
    back.load_state_dict(copy.deepcopy(continued.state_dict()))
    for optimizer in (start, continued, back):
        advance(optimizer, range(3, 6))
    for one, other, third in zip(all_of(start), all_of(continued), all_of(back), strict=True):
        torch.testing.assert_close(other, one, rtol=1e-5, atol=1e-7)
        assert torch.equal(third, one)


@each_pair
def test_what_computes_something_else_is_refused(ours: Any, theirs: Any, hypers: Any) -> None:
    other = theirs(parameters(), **hypers, **({"amsgrad": True} if ours is Adamw else {"nesterov": True}))
    advance(other, [0])
    with pytest.raises(ValueError, match=r"it has (amsgrad|nesterov) = True"):
        ours(parameters()).load_state_dict(other.state_dict())
