"""Parameter groups, as torch's own tests ask for them."""

from __future__ import annotations

import pytest
import torch
from torch.nn import Parameter

from muondsl import load
from tests.runtime.subjects import (
    Optimizer,
    advance,
    assert_same,
    every_class,
    every_class_that_rests,
    first_route,
    new_groups,
    new_parameters,
    random,
    set_gradients,
    snapshot,
)


@every_class_that_rests
def test_each_group_steps_with_its_own_learning_rate(kind: Optimizer) -> None:
    still, moving = Parameter(random((4, 6), 1)), Parameter(random((4, 6), 1))
    groups = [{"params": [still], "lr": 0.0}, {"params": [moving]}]
    optimizer = kind([{**group, "route": first_route(kind)} for group in groups], lr=0.1)
    before = still.detach().clone()
    alone = Parameter(before.clone())
    single = kind([{"params": [alone], "route": first_route(kind)}], lr=0.1)
    for parameter in (still, moving, alone):
        parameter.grad = random((4, 6), 2)
    optimizer.step()
    single.step()
    assert torch.equal(still, before)
    assert torch.equal(moving, alone)
    assert not torch.equal(moving, before)


@every_class
def test_groups_are_as_several_optimizers(kind: Optimizer) -> None:
    """Each with its own hypers, decay among them."""
    together, apart = ([new_groups(new_parameters(kind), lr=lr)[0] for lr in (0.1, 0.01)] for _ in range(2))
    for groups in (together, apart):
        groups[0]["params"], groups[1]["params"] = groups[0]["params"][:2], groups[1]["params"][2:]
        groups[0].update({hyper.name: 0.5 for hyper in kind.hypers if hyper.length is None and hyper.name != "lr"})
    one, several = kind(together), [kind([group]) for group in apart]
    for step in range(2):
        set_gradients([each for group in together for each in group["params"]], step)
        set_gradients([each for group in apart for each in group["params"]], step)
        for optimizer in (one, *several):
            optimizer.step()
    assert_same(snapshot(one), [tensor for each in several for tensor in snapshot(each)])


@every_class
def test_groups_with_and_without_names_do_not_mix(kind: Optimizer) -> None:
    (route, *_) = kind.states
    first, second = new_parameters(kind)[route][:2]
    with pytest.raises(ValueError, match="all optimizer param groups should be with/without names"):
        kind([{"params": [first], "route": route}, {"params": [("weight", second)], "route": route}])
    with pytest.raises(ValueError, match="Some param names are missing"):
        kind([{"params": [("weight", second), first], "route": route}])


@every_class
def test_an_added_group_takes_defaults_and_steps(kind: Optimizer) -> None:
    first, second = Parameter(random((4, 6), 1)), Parameter(random((6, 4), 2))
    optimizer = kind([{"params": [first], "route": first_route(kind)}], lr=0.1)
    advance(optimizer, [0])
    optimizer.add_param_group({"params": second, "route": first_route(kind), "momentum": 0.5})
    assert optimizer.param_groups[1]["lr"] == 0.1
    assert optimizer.param_groups[1]["momentum"] == 0.5
    before = second.detach().clone()
    advance(optimizer, [1])
    assert not torch.equal(second, before)


@every_class
def test_a_group_can_be_added_after_a_checkpoint_was_loaded(kind: Optimizer) -> None:
    optimizer = kind(new_groups(new_parameters(kind)))
    optimizer.load_state_dict(optimizer.state_dict())
    optimizer.add_param_group({"params": [Parameter(random((4, 6), 1))], "route": first_route(kind)})
    advance(optimizer, [0])


@every_class
def test_no_parameters_are_refused_and_an_empty_group_is_not(kind: Optimizer) -> None:
    with pytest.raises(ValueError, match="empty parameter list"):
        kind([])
    optimizer = kind([{"params": []}, {"params": [Parameter(random((4, 6), 1))], "route": first_route(kind)}])
    advance(optimizer, [0])
    assert len(optimizer.param_groups) == 2


@every_class
def test_what_is_no_parameter_is_refused_as_torch_refuses_it(kind: Optimizer) -> None:
    leaf = Parameter(random((4, 6), 1))
    with pytest.raises(TypeError, match="can only optimize Tensors"):
        kind([{"params": [1.5], "route": first_route(kind)}])
    with pytest.raises(ValueError, match="non-leaf"):
        kind([{"params": [2 * leaf], "route": first_route(kind)}])
    with pytest.raises(TypeError, match="ordered collections"):
        kind([{"params": {leaf}, "route": first_route(kind)}])
    with pytest.raises(TypeError, match="params argument"):
        kind(leaf)
    with pytest.raises(TypeError, match="must be a dict"):
        kind([{"params": [leaf], "route": first_route(kind)}]).add_param_group([leaf])


@every_class
def test_generators_of_parameters_are_taken(kind: Optimizer) -> None:
    members = [Parameter(random((4, 6), 1)), Parameter(random((4, 6), 2))]
    optimizer = kind([{"params": (each for each in members), "route": first_route(kind)}])
    assert optimizer.param_groups[0]["params"] == members


@every_class
def test_repr_names_class_groups_and_hypers(kind: Optimizer) -> None:
    text = repr(kind(new_groups(new_parameters(kind)), lr=0.125))
    assert text.startswith(f"{kind.__name__} (\nParameter Group 0\n")
    assert "    lr: 0.125\n" in text
    assert f"    route: {first_route(kind)}\n" in text


def test_a_tensor_learning_rate_is_not_shared_by_the_groups_that_a_group_becomes() -> None:
    """A scheduler that fills the tensors of each group would change a shared one twice."""
    named = [("a.weight", Parameter(torch.zeros(4, 6))), ("a.bias", Parameter(torch.zeros(4)))]
    optimizer = load("specs/moonlight.muon")(named, lr=torch.tensor(1.0))
    first, second = (group["lr"] for group in optimizer.param_groups)
    assert first is not second
    assert torch.equal(first, second)


def test_parameters_that_are_no_floating_point_numbers_are_refused() -> None:
    with pytest.raises(TypeError, match=r"only supports floating-point parameters but got: torch\.int32"):
        load("specs/torch_muon.muon")([torch.zeros(4, 6, dtype=torch.int32)])


def test_groups_of_other_parameters_carry_no_entries_of_muon() -> None:
    named = [("a.weight", Parameter(torch.zeros(4, 6))), ("a.bias", Parameter(torch.zeros(4)))]
    matrix, otherwise = load("specs/moonlight.muon")(named).state_dict()["param_groups"]
    assert matrix["ns_steps"] == 5
    assert "ns_steps" not in otherwise
    assert matrix["fingerprint"] == otherwise["fingerprint"]


def test_what_a_wrapper_keeps_in_the_state_does_not_hide_that_ours_is_missing() -> None:
    parameter = Parameter(torch.zeros(4, 6))
    optimizer = load("specs/torch_muon.muon")([parameter])
    optimizer.state[parameter]["mine"] = 1
    parameter.grad = torch.ones(4, 6)
    optimizer.step()
    assert set(optimizer.state[parameter]) == {"mine", "momentum_buffer"}
