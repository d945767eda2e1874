"""Steps along the gradient: an entry of each group, live and in checkpoints, as torch's optimizers have it."""

from __future__ import annotations

import copy
import inspect
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import Parameter

import muondsl
from tests.parity.test_adamw import ADAMW, SGD, of_text
from tests.parity.trajectories import relative
from tests.runtime.subjects import (
    CLASSES,
    Optimizer,
    assert_same,
    every_class_costly,
    flat,
    new_groups,
    new_parameters,
    random,
    snapshot,
)

FIRST = """optimizer First
hyper lr = 0.5
momentum {
  state first = gradient
  update <- update + first
  first  <- 2*first
}
"""
FROM_SGD = SGD.replace("optimizer OnlySgd", "optimizer FromSgd") + (
    'checkpoint "torch.optim.SGD" with nesterov = false, maximize = false\n'
)


def advance(optimizer: torch.optim.Optimizer, steps: range, factor: float = 1.0) -> None:
    for step in steps:
        for group in optimizer.param_groups:
            for index, parameter in enumerate(group["params"]):
                parameter.grad = factor * random(tuple(parameter.shape), 100 * step + index, parameter.dtype)
        optimizer.step()


@every_class_costly
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_the_step_is_that_of_the_negated_gradient(kind: Optimizer, dtype: torch.dtype) -> None:
    most, least = (new_parameters(kind, dtype) for _ in range(2))
    along, against = kind(new_groups(most), maximize=True), kind(new_groups(least))
    before = [each.detach().clone() for each in flat(most)]
    advance(along, range(3))
    advance(against, range(3), -1.0)
    assert_same(snapshot(along), snapshot(against))
    assert not any(torch.equal(now, begin) for now, begin in zip(flat(most), before, strict=True))


@pytest.mark.parametrize(("text", "torchs"), [(ADAMW, torch.optim.AdamW), (SGD, torch.optim.SGD)])
def test_parameters_move_as_with_torch(text: str, torchs: Any) -> None:
    hypers: dict[str, Any] = {"lr": 0.02, "weight_decay": 0.1} | ({"momentum": 0.9} if text == SGD else {})
    parameter, other = (Parameter(random((17, 33), 1)) for _ in range(2))
    begin = parameter.detach().clone()
    found, expected = of_text(text)([parameter], maximize=True, **hypers), torchs([other], maximize=True, **hypers)
    for optimizer in (found, expected):
        advance(optimizer, range(20))
    assert relative(parameter.detach() - begin, other.detach() - begin) <= 1e-6


def test_a_state_that_begins_as_the_gradient_begins_as_what_the_step_takes() -> None:
    parameter = Parameter(torch.zeros(2, 3))
    optimizer = muondsl.load(FIRST)([parameter], maximize=True)
    parameter.grad = torch.full((2, 3), 2.0)
    optimizer.step()
    assert torch.equal(optimizer.state[parameter]["first"], torch.full((2, 3), -4.0))
    # −0.5 (−2 − 2)
    assert torch.equal(parameter, torch.full((2, 3), 2.0))


@every_class_costly
def test_it_is_an_entry_of_each_group_and_live(kind: Optimizer) -> None:
    assert kind(new_groups(new_parameters(kind))).param_groups[0]["maximize"] is False
    with pytest.raises(ValueError, match="maximize should be True or False but is: 1"):
        kind(new_groups(new_parameters(kind)), maximize=1)
    with pytest.raises(ValueError, match="maximize should be True or False but is: 'no'"):
        kind(new_groups(new_parameters(kind), maximize="no"))
    ones, twos = Parameter(random((4, 6), 1)), Parameter(random((4, 6), 2))
    optimizer = kind([{"params": [each], "route": "matrix", "maximize": each is twos} for each in (ones, twos)])
    alone = kind([{"params": [Parameter(random((4, 6), 2))], "route": "matrix"}])
    advance(optimizer, range(1))
    advance(alone, range(1), -1.0)
    assert torch.equal(twos, alone.param_groups[0]["params"][0])
    optimizer.param_groups[1]["maximize"] = False
    advance(optimizer, range(1, 2))
    advance(alone, range(1, 2))
    assert torch.equal(twos, alone.param_groups[0]["params"][0])


@every_class_costly
def test_copies_and_checkpoints_keep_it(kind: Optimizer) -> None:
    optimizer = kind(new_groups(new_parameters(kind)), maximize=True)
    advance(optimizer, range(2))
    loaded = kind(new_groups({route: copy.deepcopy(members) for route, members in parameters_of(optimizer).items()}))
    loaded.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    others = [loaded, copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))]
    advance(optimizer, range(2, 4))
    for other in others:
        assert [group["maximize"] for group in other.param_groups] == [True] * len(other.param_groups)
        advance(other, range(2, 4))
        assert_same(snapshot(other), snapshot(optimizer))


def parameters_of(optimizer: torch.optim.Optimizer) -> dict[str, list[Tensor]]:
    return {group["route"]: group["params"] for group in optimizer.param_groups}


@every_class_costly
def test_a_checkpoint_without_it_leaves_what_was_constructed(kind: Optimizer) -> None:
    saved = kind(new_groups(new_parameters(kind))).state_dict()
    for group in saved["param_groups"]:
        del group["maximize"]
    optimizer = kind(new_groups(new_parameters(kind)), maximize=True)
    optimizer.load_state_dict(saved)
    assert all(group["maximize"] for group in optimizer.param_groups)


def test_checkpoints_of_torch_bring_it_along_and_take_it_back() -> None:
    """Also where the spec names it among what tells a compatible class."""
    kind = of_text(FROM_SGD)
    shapes = [(17, 33), (5,)]
    ours, theirs = ([Parameter(random(shape, 1)) for shape in shapes] for _ in range(2))
    torchs = torch.optim.SGD(theirs, lr=0.02, momentum=0.9, maximize=True)
    advance(torchs, range(3))
    with torch.no_grad():
        for own, other in zip(ours, theirs, strict=True):
            own.copy_(other)
    optimizer = kind([{"params": ours, "route": "otherwise"}])
    optimizer.load_state_dict(copy.deepcopy(torchs.state_dict()))
    assert optimizer.param_groups[0]["maximize"] is True
    again = kind([{"params": ours, "route": "otherwise"}])
    again.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    assert again.param_groups[0]["maximize"] is True
    for each in (again, torchs):
        advance(each, range(3, 6))
    assert all(relative(own.detach(), other.detach()) <= 1e-6 for own, other in zip(ours, theirs, strict=True))


def test_no_hyper_has_its_name() -> None:
    for name in ("maximize", "master_weights", "stochastic_rounding", "master"):
        with pytest.raises(muondsl.SpecError, match=name):
            muondsl.load(f"optimizer Taken\nhyper lr = 1\nhyper {name} = 1\nscale {name}\n")
    assert all("maximize" not in inspect.signature(kind).parameters for kind in CLASSES)
