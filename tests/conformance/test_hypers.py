"""Hypers are keywords, checked when they are given, and live afterwards: in the manner of torch's own tests."""

from __future__ import annotations

import inspect
import math
import re

import pytest
import torch
from numpy import float32
from torch.nn import Parameter

from tests.runtime.subjects import (
    Optimizer,
    advance,
    assert_same,
    every_generated_class,
    moved,
    new_groups,
    new_parameters,
    snapshot,
)


def scalar_hypers(kind: Optimizer) -> list[str]:
    return [hyper.name for hyper in kind.hypers if hyper.length is None]


LATER = {("ModdedNanogpt", "cooldown")}
"""Hypers that the next step does not depend on."""


@every_generated_class
def test_hypers_are_keywords_of_the_constructor_in_their_order(kind: Optimizer) -> None:
    keywords = inspect.signature(kind).parameters
    names = [hyper.name for hyper in kind.hypers]
    assert list(keywords)[: len(names) + 1] == ["params", *names]
    optimizer = kind(new_groups(new_parameters(kind)))
    assert {name: optimizer.defaults[name] for name in names} == {name: keywords[name].default for name in names}


@every_generated_class
@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf"), "0.1", None, True, torch.tensor(-1.0)])
def test_a_hyper_out_of_range_is_refused_by_name(kind: Optimizer, value: object) -> None:
    parameters = new_parameters(kind)
    for name in scalar_hypers(kind):
        with pytest.raises(ValueError, match=f"{name} should be in"):
            kind(new_groups(parameters), **{name: value})
        with pytest.raises(ValueError, match=f"{name} should be in"):
            kind(new_groups(parameters, **{name: value}))


@every_generated_class
def test_a_tensor_hyper_must_have_one_element(kind: Optimizer) -> None:
    for name in scalar_hypers(kind):
        with pytest.raises(ValueError, match=f"Tensor {name} must be 1-element"):
            kind(new_groups(new_parameters(kind)), **{name: torch.tensor([0.1, 0.2])})


@every_generated_class
def test_a_tensor_hyper_that_requires_grad_is_refused(kind: Optimizer) -> None:
    """It would never get one: a step is not recorded."""
    for name in scalar_hypers(kind):
        with pytest.raises(ValueError, match=f"Tensor {name} must not require grad"):
            kind(new_groups(new_parameters(kind)), **{name: torch.tensor(0.1, requires_grad=True)})


@every_generated_class
def test_hypers_are_taken_to_the_ends_of_the_ranges_that_the_docstring_says(kind: Optimizer) -> None:
    """And refused beyond, where an open end belongs to what is beyond."""
    assert kind.__doc__
    for name in scalar_hypers(kind):
        found = re.search(rf"^ *{name} \(.*\): in (.)(.*), (.*)(.) \(default", kind.__doc__, re.MULTILINE)
        assert found, name
        for bracket, number, sign in ((found[1], float(found[2]), -1), (found[4], float(found[3]), 1)):
            end, beyond = number, number + sign * 0.5
            refused = [end, beyond] if bracket in "()" else [beyond]
            for value in refused if math.isfinite(number) else [number]:
                with pytest.raises(ValueError, match=f"{name} should be in"):
                    kind(new_groups(new_parameters(kind)), **{name: value})
            if bracket in "[]":
                optimizer = kind(new_groups(new_parameters(kind)), **{name: end})
                assert optimizer.param_groups[0][name] == end


@every_generated_class
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


@every_generated_class
def test_hypers_with_several_numbers_are_checked_one_by_one(kind: Optimizer) -> None:
    for hyper in (each for each in kind.hypers if each.length is not None):
        for value in ((0.9,) * (hyper.length - 1), (0.9,) * (hyper.length - 1) + (-1.0,), 0.9):
            with pytest.raises(ValueError, match=f"{hyper.name} should be"):
                kind(new_groups(new_parameters(kind)), **{hyper.name: value})
        bad = (torch.tensor([0.1, 0.2]),) * hyper.length
        with pytest.raises(ValueError, match=f"{hyper.name} should be in"):
            kind(new_groups(new_parameters(kind)), **{hyper.name: bad})


@every_generated_class
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


@every_generated_class
def test_numbers_of_numpy_are_numbers(kind: Optimizer) -> None:
    of_python, of_numpy = (kind(new_groups(new_parameters(kind), lr=lr)) for lr in (0.5, float32(0.5)))
    advance(of_python, [0])
    advance(of_numpy, [0])
    assert_same(snapshot(of_numpy), snapshot(of_python))
