"""Parameters that are no longer what they were when they were added: a step refuses them before anything is changed."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import Parameter

import muondsl
from generated.moonlight import Moonlight
from generated.torch_muon import TorchMuon
from muondsl.runtime import SpecOptimizer
from tests.runtime.subjects import (
    Optimizer,
    advance,
    assert_same,
    every_generated_class,
    main_route,
    new_groups,
    new_parameters,
    random,
    set_gradients,
    snapshot,
)

BLOCKS = """
optimizer Blocks
hyper lr = 1e-3 in [0, inf)
view split(2) where named("*qkv*")
momentum ema(beta = 0.9)
"""


def members(optimizer: SpecOptimizer) -> list[Parameter]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def trained(kind: Optimizer) -> SpecOptimizer:
    optimizer = kind(new_groups(new_parameters(kind)))
    advance(optimizer, range(2))
    return optimizer


def assert_refused(optimizer: SpecOptimizer, message: str) -> None:
    before = snapshot(optimizer)
    with pytest.raises(RuntimeError, match=message):
        optimizer.step()
    assert_same(snapshot(optimizer), before)


def put(parameter: Parameter, value: Tensor) -> None:
    """Another value in the same object, as `module.to` and wrappers do it, with a gradient like it."""
    parameter.grad = None
    parameter.data = value
    parameter.grad = torch.ones_like(value)


@every_generated_class
def test_a_model_converted_since_the_first_step_is_refused_where_states_have_its_format(kind: Optimizer) -> None:
    optimizer = trained(kind)
    for parameter in members(optimizer):
        put(parameter, parameter.detach().bfloat16())
    if any(state.dtype is None for states in kind.states.values() for state in states):
        assert_refused(optimizer, "is torch.float32 .* but should be torch.bfloat16 .* behind the optimizer's back")
    # As the message advises:
    fresh = kind([{"params": group["params"], "route": group["route"]} for group in optimizer.param_groups])
    fresh.load_state_dict(optimizer.state_dict())
    for route, group in zip(kind.states, fresh.param_groups, strict=True):
        for parameter in group["params"]:
            states = {each.name: optimizer.state[parameter][each.name] for each in kind.states[route]}
            formats = [each.dtype or torch.bfloat16 for each in kind.states[route]]
            converted = [state.to(dtype) for state, dtype in zip(states.values(), formats, strict=True)]
            assert_same([fresh.state[parameter][name] for name in states], converted)
    fresh.step()


@every_generated_class
def test_a_model_converted_before_the_first_step_is_as_one_that_was_always_so(kind: Optimizer) -> None:
    late = kind(new_groups(new_parameters(kind)))
    converted = {route: [Parameter(each.bfloat16()) for each in found] for route, found in new_parameters(kind).items()}
    early = kind(new_groups(converted))
    for parameter in members(late):
        put(parameter, parameter.detach().bfloat16())
    advance(late, range(2))
    advance(early, range(2))
    assert_same(snapshot(late), snapshot(early))


@pytest.mark.parametrize("shape", [(1, 4), (6, 6), (6,)])
def test_a_parameter_with_another_shape_than_its_states_is_refused(shape: tuple[int, ...]) -> None:
    """(1, 4) would be broadcast with the momentum of (6, 4); (6,) is what a wrapper that flattens leaves."""
    optimizer = trained(TorchMuon)
    put(members(optimizer)[0], torch.zeros(shape))
    assert_refused(optimizer, "behind the optimizer's back")


def test_a_state_on_another_device_is_refused() -> None:
    optimizer = trained(TorchMuon)
    state = optimizer.state[members(optimizer)[0]]
    state["momentum_buffer"] = state["momentum_buffer"].to("meta")
    set_gradients(members(optimizer), 2)
    before = [parameter.detach().clone() for parameter in members(optimizer)]
    with pytest.raises(RuntimeError, match=r"momentum_buffer is .* on meta, but should be .* on cpu"):
        optimizer.step()
    assert_same([parameter.detach() for parameter in members(optimizer)], before)


def test_a_matrix_put_into_a_group_in_the_place_of_another_is_refused() -> None:
    """Mixed precision of elsewhere puts copies in fp32 there; without its view this one would be one matrix."""
    kind = muondsl.load(BLOCKS)
    optimizer = kind([("qkv.weight", Parameter(random((6, 4), 1)))])
    assert optimizer.matrices_of("matrix", members(optimizer)[0]) == ((3, 4), (3, 4))
    copied = Parameter(members(optimizer)[0].detach().clone())
    copied.grad = torch.ones(6, 4)
    optimizer.param_groups[0]["params"][0] = copied
    assert_refused(optimizer, r"does not know how to see a matrix of size \(6, 4\)")


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))])
def test_the_parameters_of_a_copy_are_known_to_it(copied: Callable[[SpecOptimizer], SpecOptimizer]) -> None:
    kind = muondsl.load(BLOCKS)
    optimizer = copied(kind([("qkv.weight", Parameter(random((6, 4), 1)))]))
    assert optimizer.matrices_of("matrix", members(optimizer)[0]) == ((3, 4), (3, 4))
    advance(optimizer, [0])


# Without numbers


@every_generated_class
def test_parameters_on_the_meta_device_are_looked_at_and_not_stepped(kind: Optimizer) -> None:
    parameters = {route: [each.to("meta") for each in found] for route, found in new_parameters(kind).items()}
    parameters = {route: [Parameter(each) for each in found] for route, found in parameters.items()}
    optimizer = kind(new_groups(parameters))
    assert len(optimizer.routing()) == len(members(optimizer))
    assert optimizer.describe().count("meta, float32") == len(parameters)
    with pytest.raises(RuntimeError, match=f"{kind.__name__} cannot step a parameter .* on the meta device"):
        optimizer.step()


def test_an_optimizer_that_was_made_before_its_model_has_memory_is_refused() -> None:
    """`to_empty` makes other parameters, of which the optimizer knows nothing."""
    with torch.device("meta"):
        model = nn.Linear(4, 6, bias=False)
    optimizer = TorchMuon(model.parameters())
    model.to_empty(device="cpu")
    model(torch.ones(2, 4)).sum().backward()
    with pytest.raises(RuntimeError, match="make the optimizer when the model has its memory"):
        optimizer.step()


def test_one_parameter_without_numbers_keeps_all_others_from_being_stepped() -> None:
    real, empty = Parameter(random((4, 6), 1)), Parameter(torch.zeros(4, 6, device="meta"))
    optimizer = TorchMuon([real, empty])
    real.grad = torch.ones(4, 6)
    before = real.detach().clone()
    with pytest.raises(RuntimeError, match="on the meta device"):
        optimizer.step()
    assert torch.equal(real, before)


# Frozen


@every_generated_class
def test_frozen_parameters_rest_and_are_stepped_when_they_are_thawed(kind: Optimizer) -> None:
    parameters = new_parameters(kind)
    frozen = [found[0] for found in parameters.values()]
    for parameter in frozen:
        parameter.requires_grad_(False)
    before = [parameter.detach().clone() for parameter in frozen]
    optimizer = kind(new_groups(parameters))
    losses = [each.square().sum() for found in parameters.values() for each in found]
    torch.stack(losses).sum().backward()
    optimizer.step()
    assert_same([parameter.detach() for parameter in frozen], before)
    assert not any(parameter in optimizer.state for parameter in frozen)
    for parameter in frozen:
        parameter.requires_grad_(True)
    torch.stack([parameter.square().sum() for parameter in frozen]).sum().backward()
    optimizer.step()
    assert not any(torch.equal(parameter, begin) for parameter, begin in zip(frozen, before, strict=True))


@every_generated_class
def test_the_gradient_of_a_parameter_that_was_frozen_since_is_refused(kind: Optimizer) -> None:
    """`zero_grad(set_to_none=False)` leaves one of zeros, by which decay and momentum would go on."""
    optimizer = trained(kind)
    parameter = members(optimizer)[-1].requires_grad_(False)
    optimizer.zero_grad(set_to_none=False)
    assert_refused(optimizer, f"{kind.__name__} has a gradient for a parameter .* that was frozen after it was added")
    optimizer.zero_grad()
    before = parameter.detach().clone()
    optimizer.step()
    assert torch.equal(parameter, before)


@every_generated_class
def test_gradients_given_by_hand_to_what_never_asked_for_them_are_used(kind: Optimizer) -> None:
    """As for copies in another precision."""
    optimizer = trained(kind)
    groups = [
        {"params": [each.detach().clone() for each in group["params"]], "route": group["route"]}
        for group in optimizer.param_groups
    ]
    other = kind(groups)
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    advance(optimizer, [2])
    advance(other, [2])
    assert_same(snapshot(other), snapshot(optimizer))


# Given twice


@every_generated_class
def test_a_parameter_twice_in_a_group_is_warned_of_and_stepped_once(kind: Optimizer) -> None:
    route = main_route(kind)
    parameter, alone = (new_parameters(kind)[route][0] for _ in range(2))
    with pytest.warns(
        UserWarning, match=f"{kind.__name__} got a parameter group with duplicate parameters, 2 of which"
    ):
        twice = kind([{"params": [("a.weight", parameter), ("b.weight", parameter)], "route": route}])
    assert twice.param_groups[0]["param_names"] == ["a.weight"]
    once = kind([{"params": [alone], "route": route}])
    advance(twice, range(2))
    advance(once, range(2))
    assert_same(snapshot(twice), snapshot(once))


@every_generated_class
def test_a_parameter_in_two_groups_is_refused(kind: Optimizer) -> None:
    route = main_route(kind)
    parameter, other = new_parameters(kind)[route][:2]
    group = {"params": [parameter], "route": route}
    with pytest.raises(ValueError, match="more than one parameter group"):
        kind([group, dict(group)])
    optimizer = kind([group])
    with pytest.raises(ValueError, match="more than one parameter group"):
        optimizer.add_param_group({"params": [other, parameter], "route": route})
    assert len(optimizer.param_groups) == 1


def test_weights_that_are_tied_are_one_parameter_with_the_role_of_the_first_use() -> None:
    model = nn.Module()
    model.tokens, model.hidden, model.out = nn.Embedding(10, 4), nn.Linear(4, 4), nn.Linear(4, 10, bias=False)
    model.out.weight = model.tokens.weight
    rows = {row.name: row.route for row in Moonlight.for_model(model).routing()}
    assert rows == {"tokens.weight": "otherwise", "hidden.weight": "matrix", "hidden.bias": "otherwise"}
