"""Hypers are keywords, checked when they are given, and live afterwards: in the manner of torch's own tests."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch
from numpy import float32
from torch.nn import Parameter
from torch.optim import lr_scheduler

from tests.runtime.subjects import (
    Optimizer,
    advance,
    assert_same,
    every_class,
    moved,
    new_groups,
    new_parameters,
    snapshot,
)


def scalar_hypers(kind: Optimizer) -> list[str]:
    return [hyper.name for hyper in kind.hypers if hyper.length is None]


LATER = {("ModdedNanogpt", "cooldown")}
"""Hypers that the next step does not depend on."""


@every_class
def test_hypers_are_keywords_of_the_constructor_in_their_order(kind: Optimizer) -> None:
    keywords = inspect.signature(kind).parameters
    names = [hyper.name for hyper in kind.hypers]
    assert list(keywords)[: len(names) + 1] == ["params", *names]
    optimizer = kind(new_groups(new_parameters(kind)))
    assert {name: optimizer.defaults[name] for name in names} == {name: keywords[name].default for name in names}


@every_class
@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf"), "0.1", None, True, torch.tensor(-1.0)])
def test_a_hyper_out_of_range_is_refused_by_name(kind: Optimizer, value: object) -> None:
    parameters = new_parameters(kind)
    for name in scalar_hypers(kind):
        with pytest.raises(ValueError, match=f"{name} should be in"):
            kind(new_groups(parameters), **{name: value})
        with pytest.raises(ValueError, match=f"{name} should be in"):
            kind(new_groups(parameters, **{name: value}))


@every_class
def test_a_tensor_hyper_must_have_one_element(kind: Optimizer) -> None:
    for name in scalar_hypers(kind):
        with pytest.raises(ValueError, match=f"Tensor {name} must be 1-element"):
            kind(new_groups(new_parameters(kind)), **{name: torch.tensor([0.1, 0.2])})


@every_class
@pytest.mark.parametrize("shape", [(), (1,)])
def test_a_tensor_learning_rate_is_read_at_every_step(kind: Optimizer, shape: tuple[int, ...]) -> None:
    lr = torch.full(shape, 0.5)
    tensors, floats = kind(new_groups(new_parameters(kind), lr=lr)), kind(new_groups(new_parameters(kind), lr=0.5))
    advance(tensors, [0])
    advance(floats, [0])
    lr.fill_(0.25)
    for group in floats.param_groups:
        group["lr"] = 0.25
    advance(tensors, [1])
    advance(floats, [1])
    assert_same(snapshot(tensors), snapshot(floats))


@every_class
def test_hypers_with_several_numbers_are_checked_one_by_one(kind: Optimizer) -> None:
    for hyper in (each for each in kind.hypers if each.length is not None):
        for value in ((0.9,) * (hyper.length - 1), (0.9,) * (hyper.length - 1) + (-1.0,), 0.9):
            with pytest.raises(ValueError, match=f"{hyper.name} should be"):
                kind(new_groups(new_parameters(kind)), **{hyper.name: value})
        bad = (torch.tensor([0.1, 0.2]),) * hyper.length
        with pytest.raises(ValueError, match=f"{hyper.name} should be in"):
            kind(new_groups(new_parameters(kind)), **{hyper.name: bad})


@every_class
def test_a_changed_hyper_acts_at_the_next_step_as_if_built_with_it(kind: Optimizer) -> None:
    for hyper in (each for each in kind.hypers if (kind.__name__, each.name) not in LATER):
        value = 0.5 if hyper.length is None else (0.5,) * hyper.length
        changed, untouched = (kind(new_groups(new_parameters(kind), lr=0.1)) for _ in range(2))
        advance(changed, [0])
        advance(untouched, [0])
        copies = {
            group["route"]: [Parameter(each.detach().clone()) for each in group["params"]]
            for group in changed.param_groups
        }
        built = kind(new_groups(copies, **{"lr": 0.1, hyper.name: value}))
        for group, other in zip(changed.param_groups, built.param_groups, strict=True):
            group[hyper.name] = value
            for parameter, copy in zip(group["params"], other["params"], strict=True):
                built.state[copy] = {name: state.clone() for name, state in changed.state[parameter].items()}
        for optimizer in (changed, untouched, built):
            advance(optimizer, [1])
        assert_same(snapshot(changed), snapshot(built))
        assert any(moved(snapshot(changed), snapshot(untouched))), hyper.name


@every_class
def test_numbers_of_numpy_are_numbers(kind: Optimizer) -> None:
    of_python, of_numpy = (kind(new_groups(new_parameters(kind), lr=lr)) for lr in (0.5, float32(0.5)))
    advance(of_python, [0])
    advance(of_numpy, [0])
    assert_same(snapshot(of_numpy), snapshot(of_python))


@every_class
@pytest.mark.parametrize(
    "schedule",
    [
        lambda optimizer: lr_scheduler.StepLR(optimizer, 2, gamma=0.5),
        lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, 5),
        lambda optimizer: lr_scheduler.OneCycleLR(
            optimizer, max_lr=0.1, total_steps=8, cycle_momentum="momentum" in optimizer.defaults
        ),
        lambda optimizer: lr_scheduler.LambdaLR(optimizer, lambda epoch: 1 / (1 + epoch)),
    ],
    ids=["step", "cosine", "one_cycle", "lambda"],
)
def test_schedulers_set_the_learning_rate_that_steps_use(kind: Optimizer, schedule: Any) -> None:
    optimizer, by_hand = kind(new_groups(new_parameters(kind), lr=0.1)), kind(new_groups(new_parameters(kind), lr=0.1))
    scheduler = schedule(optimizer)
    rates = set()
    for step in range(5):
        for group, other in zip(optimizer.param_groups, by_hand.param_groups, strict=True):
            other.update({hyper.name: group[hyper.name] for hyper in kind.hypers})
            rates.add(group["lr"])
        advance(optimizer, [step])
        advance(by_hand, [step])
        scheduler.step()
    assert len(rates) > 2
    assert_same(snapshot(optimizer), snapshot(by_hand))


@every_class
def test_a_scheduler_fills_a_tensor_learning_rate(kind: Optimizer) -> None:
    lr = torch.tensor(0.1)
    optimizer = kind(new_groups(new_parameters(kind), lr=lr))
    scheduler = lr_scheduler.ConstantLR(optimizer, factor=0.5)
    assert all(torch.is_tensor(group["lr"]) for group in optimizer.param_groups)
    assert float(optimizer.param_groups[0]["lr"]) == pytest.approx(0.05)
    advance(optimizer, [0])
    scheduler.step()
