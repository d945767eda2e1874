"""A checkpoint goes on where it was written, bit for bit; one that is another's is refused, and nothing is changed."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import Parameter

from generated.keller_jordan import KellerJordan
from generated.moonlight import Moonlight
from generated.nanochat import Nanochat
from generated.torch_muon import TorchMuon
from muondsl.runtime import SpecOptimizer
from tests.runtime.subjects import (
    CLASSES,
    CORE_CLASSES,
    Optimizer,
    advance,
    assert_same,
    every_class,
    every_class_with_states,
    first_route,
    new_groups,
    new_parameters,
    random,
    snapshot,
)

Saved = dict[str, Any]
dtypes = pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])


def trained(kind: Optimizer, dtype: torch.dtype = torch.float32, **hypers: Any) -> SpecOptimizer:
    optimizer = kind(new_groups(new_parameters(kind, dtype), **hypers))
    advance(optimizer, range(3))
    return optimizer


def beside(optimizer: SpecOptimizer) -> SpecOptimizer:
    """A new optimizer on copies of the parameters, with other hypers and no state."""
    groups = [
        {"params": [Parameter(each.detach().clone()) for each in group["params"]], "route": group["route"], "lr": 0.5}
        for group in optimizer.param_groups
    ]
    return type(optimizer)(groups, **{hyper.name: 0.5 for hyper in optimizer.hypers if hyper.length is None})


def through_a_file(saved: Saved) -> Saved:
    stream = io.BytesIO()
    torch.save(saved, stream)
    stream.seek(0)
    found: Saved = torch.load(stream, weights_only=True)
    return found


def loaded_again(optimizer: SpecOptimizer, carry: Callable[[Saved], Saved]) -> SpecOptimizer:
    other = beside(optimizer)
    other.load_state_dict(carry(optimizer.state_dict()))
    return other


WAYS: dict[str, Callable[[SpecOptimizer], SpecOptimizer]] = {
    "state_dict": lambda optimizer: loaded_again(optimizer, copy.deepcopy),
    "file": lambda optimizer: loaded_again(optimizer, through_a_file),
    "deepcopy": copy.deepcopy,
    "pickle": lambda optimizer: pickle.loads(pickle.dumps(optimizer)),
    "twice": lambda optimizer: loaded_again(loaded_again(optimizer, copy.deepcopy), copy.deepcopy),
}


@every_class
@dtypes
@pytest.mark.parametrize("way", WAYS)
def test_a_copy_continues_bitwise(kind: Optimizer, dtype: torch.dtype, way: str) -> None:
    optimizer = trained(kind, dtype, lr=0.03)
    other = WAYS[way](optimizer)
    assert_same(snapshot(other), snapshot(optimizer))
    mine, theirs = ([{k: v for k, v in g.items() if k != "params"} for g in o.param_groups] for o in (optimizer, other))
    assert mine == theirs
    advance(optimizer, range(3, 6))
    before = snapshot(optimizer)
    advance(other, range(3, 6))
    assert_same(snapshot(other), before)
    assert_same(snapshot(optimizer), before)


@every_class
def test_a_checkpoint_can_be_loaded_into_the_optimizer_that_wrote_it(kind: Optimizer) -> None:
    optimizer, other = trained(kind), trained(kind)
    for _ in range(2):
        optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    advance(optimizer, [3])
    advance(other, [3])
    assert_same(snapshot(optimizer), snapshot(other))


@every_class
def test_a_checkpoint_holds_no_more_than_torch_can_read_without_pickle(kind: Optimizer) -> None:
    saved = trained(kind).state_dict()
    assert set(saved) == {"state", "param_groups"}
    for states in saved["state"].values():
        assert all(isinstance(state, Tensor) for state in states.values())


@every_class
def test_a_looked_at_state_that_is_still_empty_can_be_saved_and_loaded(kind: Optimizer) -> None:
    parameters = new_parameters(kind)
    optimizer = kind(new_groups(parameters))
    for members in parameters.values():
        assert optimizer.state[members[0]] == {}
    other = loaded_again(optimizer, copy.deepcopy)
    advance(other, [0])
    advance(optimizer, [0])
    assert len(other.state) == len(optimizer.state)


NAMES = ("layers.0.weight", "layers.1.weight")


def named_or_not(kind: Optimizer, names: tuple[str, ...] | None) -> SpecOptimizer:
    (route, *_) = kind.states
    members: list[Any] = [Parameter(random((4, 4), index)) for index in range(2)]
    return kind([{"params": list(zip(names, members, strict=True)) if names else members, "route": route}])


@every_class
@pytest.mark.parametrize(("written", "read"), [(NAMES, NAMES), (NAMES, None), (None, NAMES)])
def test_names_of_parameters_are_kept(kind: Optimizer, written: Any, read: Any) -> None:
    """As in torch, those of the checkpoint, where it has any."""
    optimizer = named_or_not(kind, written)
    advance(optimizer, [0])
    other = named_or_not(kind, read)
    other.load_state_dict(through_a_file(optimizer.state_dict()))
    assert tuple(other.param_groups[0]["param_names"]) == NAMES
    advance(other, [1])


@every_class
def test_hypers_that_a_checkpoint_does_not_know_stay_as_they_are(kind: Optimizer) -> None:
    """As for one of an older version."""
    optimizer, other = trained(kind, lr=0.03), trained(kind)
    saved = copy.deepcopy(optimizer.state_dict())
    names = [hyper.name for hyper in kind.hypers if hyper.name != "lr"]
    for group in saved["param_groups"]:
        for name in names:
            del group[name]
    before = [{name: group[name] for name in names} for group in other.param_groups]
    other.load_state_dict(saved)
    assert [{name: group[name] for name in names} for group in other.param_groups] == before
    assert [group["lr"] for group in other.param_groups] == [0.03] * len(before)
    advance(other, [3])


@every_class
def test_a_copy_has_all_public_attributes(kind: Optimizer) -> None:
    optimizer = trained(kind)
    for copied in (copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))):
        assert {name for name in vars(optimizer) if name[0] != "_"} == {name for name in vars(copied) if name[0] != "_"}


def test_the_fp32_second_moment_of_a_bf16_parameter_survives() -> None:
    optimizer = trained(Nanochat, torch.bfloat16)
    parameter = optimizer.param_groups[0]["params"][0]
    moment = optimizer.state[parameter]["second_momentum_buffer"]
    assert not torch.equal(moment, moment.bfloat16().float())
    other = loaded_again(optimizer, through_a_file)
    found = other.state[other.param_groups[0]["params"][0]]["second_momentum_buffer"]
    assert_same([found], [moment])


# Refusals


def assert_refused(optimizer: SpecOptimizer, saved: Saved, complaint: str, **options: bool) -> None:
    """Refused with the complaint, and neither states nor groups are changed."""
    before, groups = snapshot(optimizer), copy.deepcopy(optimizer.state_dict()["param_groups"])
    with pytest.raises(ValueError, match=complaint):
        optimizer.load_state_dict(saved, **options)
    assert_same(snapshot(optimizer), before)
    assert optimizer.state_dict()["param_groups"] == groups


@every_class
def test_the_checkpoint_of_another_spec_is_refused(kind: Optimizer) -> None:
    for other in (each for each in CORE_CLASSES if each is not kind):
        optimizer = kind([{"params": [Parameter(random((4, 6), 1))], "route": first_route(kind)}])
        advance(optimizer, [0])
        writer = other([{"params": [Parameter(random((4, 6), 1))], "route": "matrix"}])
        advance(writer, [0])
        assert_refused(optimizer, writer.state_dict(), f"another spec.*{other.fingerprint}.*{kind.__name__}")


def test_no_two_specs_have_one_fingerprint() -> None:
    assert len({kind.fingerprint for kind in CLASSES}) == len(CLASSES)


def test_another_spec_is_accepted_on_demand_where_states_are_the_same() -> None:
    writer, reader = trained(KellerJordan, lr=0.03), trained(Moonlight)
    reader.load_state_dict(copy.deepcopy(writer.state_dict()), any_fingerprint=True)
    expected = [writer.state[each] for group in writer.param_groups for each in group["params"]]
    found = [reader.state[each] for group in reader.param_groups for each in group["params"]]
    for mine, theirs in zip(found, expected, strict=True):
        assert_same(list(mine.values()), list(theirs.values()))
    assert [group["lr"] for group in reader.param_groups] == [0.03, 0.03]
    assert reader.state_dict()["param_groups"][0]["fingerprint"] == Moonlight.fingerprint


def test_another_spec_is_refused_on_demand_where_states_differ() -> None:
    for writer, reader in ((Moonlight, Nanochat), (Nanochat, Moonlight)):
        assert_refused(trained(reader), trained(writer).state_dict(), "should have states", any_fingerprint=True)


def test_a_torch_optimizer_of_another_kind_is_refused() -> None:
    parameter = Parameter(random((4, 6), 1))
    writer = torch.optim.SGD([parameter], momentum=0.9)
    advance(writer, [0])
    complaints = {TorchMuon: "not of a torch.optim.Muon .* ns_steps = missing", Nanochat: "has no fingerprint"}
    for kind, complaint in complaints.items():
        optimizer = kind([{"params": [Parameter(random((4, 6), 1))], "route": "matrix"}])
        advance(optimizer, [0])
        assert_refused(optimizer, writer.state_dict(), complaint)


def of_wrong_shape(saved: Saved) -> None:
    saved["state"][1]["momentum_buffer"] = torch.zeros(2, 2)


def with_a_state_renamed(saved: Saved) -> None:
    saved["state"][1]["momentum"] = saved["state"][1].pop("momentum_buffer")


def with_a_state_too_many(saved: Saved) -> None:
    saved["state"][1]["exp_avg"] = torch.zeros(4, 6)


def of_another_route(saved: Saved) -> None:
    saved["param_groups"][0]["route"] = "otherwise"


def with_a_bad_hyper(saved: Saved) -> None:
    saved["param_groups"][-1]["lr"] = -1.0


def with_a_group_too_many(saved: Saved) -> None:
    saved["param_groups"].append(saved["param_groups"][0])


def with_a_parameter_too_few(saved: Saved) -> None:
    saved["param_groups"][0]["params"].pop()


def without_its_fingerprint(saved: Saved) -> None:
    del saved["param_groups"][-1]["fingerprint"]
    saved["param_groups"][-1].pop("ns_steps", None)


@every_class_with_states
@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (of_wrong_shape, r"parameter 1 should have states .* \(2, 2\)"),
        (with_a_state_renamed, "parameter 1 should have states .*'momentum':"),
        (with_a_state_too_many, "parameter 1 should have states .* 'exp_avg'"),
        (of_another_route, "has route 'otherwise', ours has 'matrix'"),
        (with_a_bad_hyper, "lr should be in"),
        (with_a_group_too_many, "different number of parameter groups"),
        (with_a_parameter_too_few, "doesn't match the size"),
        (without_its_fingerprint, "no fingerprint|ns_steps = missing"),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_a_spoilt_checkpoint_is_refused(kind: Optimizer, spoil: Callable[[Saved], None], complaint: str) -> None:
    saved = copy.deepcopy(trained(kind, lr=0.5).state_dict())
    spoil(saved)
    assert_refused(trained(kind), saved, complaint)


def test_a_count_of_steps_that_is_no_tensor_is_refused() -> None:
    saved = copy.deepcopy(trained(Moonlight).state_dict())
    for state in saved["state"].values():
        if "step" in state:
            state["step"] = state["step"].item()
    assert_refused(trained(Moonlight), saved, "should have states .*'step'")


@every_class
def test_parameters_in_another_order_are_refused(kind: Optimizer) -> None:
    """Where shapes agree, states would go to other parameters without a word."""
    optimizer = named_or_not(kind, NAMES)
    advance(optimizer, [0])
    other = named_or_not(kind, NAMES[::-1])
    assert_refused(
        other, optimizer.state_dict(), "another order: 'layers.0.weight' in the place of our 'layers.1.weight'"
    )


@every_class
@pytest.mark.parametrize("renamed", ["_orig_mod.{}", "module.{}", "model.{}"])
def test_parameters_under_other_names_are_taken_in_their_order(kind: Optimizer, renamed: str) -> None:
    optimizer = named_or_not(kind, NAMES)
    advance(optimizer, [0])
    first, second = (renamed.format(name) for name in NAMES)
    other = named_or_not(kind, (first, second))
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for mine, theirs in zip(other.param_groups[0]["params"], optimizer.param_groups[0]["params"], strict=True):
        mine.data.copy_(theirs)
    advance(optimizer, [1])
    advance(other, [1])
    assert_same(snapshot(other), snapshot(optimizer))
