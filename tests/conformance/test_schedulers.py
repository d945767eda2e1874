"""Every scheduler of torch sets the learning rates of all groups, those too that a group was divided into, and steps
use them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler
from torch.optim.lr_scheduler import LRScheduler
from torch.optim.swa_utils import SWALR, AveragedModel

from generated.moonlight import Moonlight
from muondsl.runtime import SpecOptimizer
from tests.runtime.subjects import (
    Optimizer,
    advance,
    assert_same,
    every_generated_class,
    flat,
    new_groups,
    new_parameters,
    snapshot,
)

EPOCHS = 8


def chained(optimizer: torch.optim.Optimizer) -> Any:
    return lr_scheduler.ChainedScheduler(
        [lr_scheduler.ConstantLR(optimizer, 0.5, 3), lr_scheduler.ExponentialLR(optimizer, 0.9)]
    )


def sequential(optimizer: torch.optim.Optimizer) -> Any:
    """The usual one: a linear warmup, then a cosine."""
    phases = [lr_scheduler.LinearLR(optimizer, 0.1, 1.0, 3), lr_scheduler.CosineAnnealingLR(optimizer, 5)]
    return lr_scheduler.SequentialLR(optimizer, phases, [3])


def per_group(optimizer: torch.optim.Optimizer) -> Any:
    """A function for each group, in the order of groups."""
    functions = [lambda epoch, last=number: 1 / (1 + epoch + last) for number in range(len(optimizer.param_groups))]
    return lr_scheduler.LambdaLR(optimizer, functions)


SCHEDULES: dict[str, Callable[[torch.optim.Optimizer], Any]] = {
    "LambdaLR": per_group,
    "MultiplicativeLR": lambda each: lr_scheduler.MultiplicativeLR(each, lambda epoch: 0.9),
    "StepLR": lambda each: lr_scheduler.StepLR(each, 2, gamma=0.5),
    "MultiStepLR": lambda each: lr_scheduler.MultiStepLR(each, [2, 5]),
    "ConstantLR": lambda each: lr_scheduler.ConstantLR(each, 0.5, 3),
    "LinearLR": lambda each: lr_scheduler.LinearLR(each, 0.5, 1.0, 4),
    "ExponentialLR": lambda each: lr_scheduler.ExponentialLR(each, 0.9),
    "SequentialLR": sequential,
    "PolynomialLR": lambda each: lr_scheduler.PolynomialLR(each, 6, 2.0),
    "CosineAnnealingLR": lambda each: lr_scheduler.CosineAnnealingLR(each, 5, 1e-3),
    "ChainedScheduler": chained,
    "ReduceLROnPlateau": lambda each: lr_scheduler.ReduceLROnPlateau(each, patience=0, min_lr=0.01),
    "CyclicLR": lambda each: lr_scheduler.CyclicLR(each, 0.01, 0.1, 3, cycle_momentum=False),
    "CosineAnnealingWarmRestarts": lambda each: lr_scheduler.CosineAnnealingWarmRestarts(each, 2, 2),
    "OneCycleLR": lambda each: lr_scheduler.OneCycleLR(each, 0.1, EPOCHS + 1, cycle_momentum=False),
    "SWALR": lambda each: SWALR(each, 0.005, 3),
}


def groups_of(kind: Optimizer) -> list[dict[str, Any]]:
    """One for each route of the class, and one more, with learning rates of their own."""
    groups = new_groups(new_parameters(kind))
    groups.append({"params": groups[0]["params"][:1], "route": groups[0]["route"]})
    groups[0]["params"] = groups[0]["params"][1:]
    return [{**group, "lr": 0.1 / 3**number} for number, group in enumerate(groups)]


def rates_of(optimizer: torch.optim.Optimizer, schedule: Any, epochs: range = range(EPOCHS)) -> list[list[float]]:
    """The learning rates of the groups at each epoch, while the loss falls, and then does not."""
    found = []
    for epoch in epochs:
        optimizer.step()
        found.append([float(group["lr"]) for group in optimizer.param_groups])
        if isinstance(schedule, lr_scheduler.ReduceLROnPlateau):
            schedule.step(max(4 - epoch, 1))
        else:
            schedule.step()
    return found


def test_all_schedulers_of_torch_are_here() -> None:
    subclasses = {name for name in lr_scheduler.__all__ if name != "LRScheduler"}
    assert subclasses | {"SWALR"} == set(SCHEDULES)


@every_generated_class
@pytest.mark.parametrize("name", SCHEDULES)
def test_learning_rates_are_those_that_a_torch_optimizer_gets(kind: Optimizer, name: str) -> None:
    ours, theirs = kind(groups_of(kind)), torch.optim.SGD(groups_of(kind))
    expected = rates_of(theirs, SCHEDULES[name](theirs))
    assert rates_of(ours, SCHEDULES[name](ours)) == expected
    assert len({rates[0] for rates in expected}) > 1


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_goes_on_from_a_checkpoint(name: str) -> None:
    whole, first, second = (Moonlight(groups_of(Moonlight)) for _ in range(3))
    expected = rates_of(whole, SCHEDULES[name](whole))
    schedule = SCHEDULES[name](first)
    begun = rates_of(first, schedule, range(4))
    resumed = SCHEDULES[name](second)
    resumed.load_state_dict(schedule.state_dict())
    second.load_state_dict(first.state_dict())
    assert begun + rates_of(second, resumed, range(4, EPOCHS)) == expected


@every_generated_class
def test_steps_use_what_a_schedule_has_set(kind: Optimizer) -> None:
    scheduled, by_hand = kind(groups_of(kind)), kind(groups_of(kind))
    schedule = sequential(scheduled)
    for step in range(5):
        for group, other in zip(scheduled.param_groups, by_hand.param_groups, strict=True):
            other["lr"] = group["lr"]
        advance(scheduled, [step])
        advance(by_hand, [step])
        schedule.step()
    assert_same(snapshot(scheduled), snapshot(by_hand))


@every_generated_class
def test_a_schedule_may_cycle_the_momentum_of_a_class_that_has_one(kind: Optimizer) -> None:
    def cycle(optimizer: SpecOptimizer) -> LRScheduler:
        return lr_scheduler.OneCycleLR(optimizer, 0.1, 10, base_momentum=0.5, max_momentum=0.75)

    if not {"momentum", "betas"} & set(kind(groups_of(kind)).defaults):
        with pytest.raises(ValueError, match="must support momentum"):
            cycle(kind(groups_of(kind)))
        return
    scheduled, by_hand = kind(groups_of(kind)), kind(groups_of(kind))
    schedule = cycle(scheduled)
    names = [hyper.name for hyper in kind.hypers]
    cycled = []
    for step in range(4):
        for group, other in zip(scheduled.param_groups, by_hand.param_groups, strict=True):
            other.update({name: group[name] for name in names})
        cycled.append({name: scheduled.param_groups[0][name] for name in names if name != "lr"})
        advance(scheduled, [step])
        advance(by_hand, [step])
        schedule.step()
    assert cycled[0] != cycled[1]
    assert_same(snapshot(scheduled), snapshot(by_hand))


@every_generated_class
def test_a_schedule_fills_a_learning_rate_that_is_a_tensor(kind: Optimizer) -> None:
    tensors, floats = (kind(new_groups(new_parameters(kind), lr=lr)) for lr in (torch.tensor(0.5), 0.5))
    schedules = [lr_scheduler.ExponentialLR(optimizer, 0.5) for optimizer in (tensors, floats)]
    for step in range(2):
        advance(tensors, [step])
        advance(floats, [step])
        for schedule in schedules:
            schedule.step()
    assert all(torch.is_tensor(group["lr"]) for group in tensors.param_groups)
    assert_same(snapshot(tensors), snapshot(floats))


def test_a_model_that_is_divided_is_scheduled_group_by_group() -> None:
    """The order of groups is that of the routes of the spec."""
    model = nn.Sequential(nn.Linear(4, 6), nn.LayerNorm(6))
    optimizer = Moonlight.for_model(model, lr=0.5)
    lr_scheduler.LambdaLR(optimizer, [lambda epoch: 0.5, lambda epoch: 0.25])
    assert [(group["route"], group["lr"]) for group in optimizer.param_groups] == [
        ("matrix", 0.25),
        ("otherwise", 0.125),
    ]


@every_generated_class
def test_weights_are_averaged_beside_the_optimizer(kind: Optimizer) -> None:
    """Stochastic weight averaging: a mean of what the steps yield, of which the steps know nothing."""
    parameters = new_parameters(kind)
    model = nn.ParameterList(flat(parameters))
    optimizer, alone = kind(new_groups(parameters)), kind(new_groups(new_parameters(kind)))
    averaged = AveragedModel(model)
    sums = [torch.zeros_like(each, dtype=torch.float64) for each in model]
    for step in range(3):
        advance(optimizer, [step])
        advance(alone, [step])
        averaged.update_parameters(model)
        for total, parameter in zip(sums, model, strict=True):
            total += parameter.detach().double() / 3
    assert_same(snapshot(optimizer), snapshot(alone))
    for found, expected in zip(averaged.module.parameters(), sums, strict=True):
        torch.testing.assert_close(found.detach().double(), expected, rtol=1e-6, atol=1e-7)
