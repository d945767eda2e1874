"""State dicts under the names of a model's parameters, as torch.distributed.checkpoint keeps them; in one process."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed.checkpoint as dcp
from torch import nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)

from generated.moonlight import Moonlight
from generated.nanochat import Nanochat
from generated.torch_muon import TorchMuon
from muondsl.runtime import SpecOptimizer
from tests.runtime.subjects import (
    Optimizer,
    advance,
    assert_same,
    every_generated_class,
    new_groups,
    new_parameters,
    snapshot,
)

FORMS = {"nested": StateDictOptions(), "flattened": StateDictOptions(flatten_optimizer_state_dict=True)}
every_form = pytest.mark.parametrize("form", FORMS)


class Holder(nn.Module):
    """A model that is nothing but parameters of every route of a class, with its optimizer."""

    def __init__(self, kind: Optimizer, **hypers: Any) -> None:
        super().__init__()
        parameters = new_parameters(kind)
        for route, members in parameters.items():
            self.register_module(route, nn.ParameterList(members))
        named = {
            route: [(f"{route}.{index}", each) for index, each in enumerate(members)]
            for route, members in parameters.items()
        }
        self.optimizer: SpecOptimizer = kind(new_groups(named, **hypers))


def saved(model: Holder, form: str) -> dict[str, Any]:
    optimizer = get_optimizer_state_dict(model, model.optimizer, options=FORMS[form])
    return {"model": get_model_state_dict(model), "optimizer": optimizer}


def load(model: Holder, given: dict[str, Any], form: str) -> None:
    """The model behind the optimizer: states are made by a step of zeros, by which a projection moves parameters."""
    set_optimizer_state_dict(model, model.optimizer, given["optimizer"], options=FORMS[form])
    set_model_state_dict(model, given["model"])


def assert_continues(model: Holder, other: Holder) -> None:
    assert_same(snapshot(other.optimizer), snapshot(model.optimizer))
    assert [group["lr"] for group in other.optimizer.param_groups] == [0.03] * len(other.optimizer.param_groups)
    for each in (model, other):
        advance(each.optimizer, range(2, 4))
    assert_same(snapshot(other.optimizer), snapshot(model.optimizer))


@every_generated_class
@every_form
def test_a_state_dict_by_names_continues_bitwise(kind: Optimizer, form: str) -> None:
    model, other = Holder(kind, lr=0.03), Holder(kind)
    advance(model.optimizer, range(2))
    given = copy.deepcopy(saved(model, form))
    load(other, given, form)
    assert_continues(model, other)


@pytest.mark.filterwarnings("ignore:torch.distributed is disabled")
@pytest.mark.parametrize("kind", [Moonlight, Nanochat, TorchMuon], ids=lambda kind: kind.__name__)
@every_form
def test_a_checkpoint_on_disk_continues_bitwise(kind: Optimizer, form: str, tmp_path: Path) -> None:
    model, other = Holder(kind, lr=0.03), Holder(kind)
    advance(model.optimizer, range(2))
    dcp.save(saved(model, form), checkpoint_id=tmp_path, no_dist=True)
    target = saved(other, form)
    dcp.load(target, checkpoint_id=tmp_path, no_dist=True)
    load(other, target, form)
    assert_continues(model, other)


@every_form
def test_the_checkpoint_of_another_spec_is_refused(form: str) -> None:
    model, other = Holder(Nanochat), Holder(Moonlight)
    advance(model.optimizer, range(2))
    given = copy.deepcopy(saved(model, form))
    before = [parameter.detach().clone() for parameter in other.parameters()]
    with pytest.raises(ValueError, match="written by another spec"):
        load(other, given, form)
    assert_same([parameter.detach() for parameter in other.parameters()], before)


def test_names_are_those_of_the_model() -> None:
    model = Holder(Moonlight)
    advance(model.optimizer, [0])
    found = saved(model, "nested")["optimizer"]
    assert set(found["state"]) == {name for name, _ in model.named_parameters()}
    assert [group["params"] for group in found["param_groups"]] == [
        [name for name, _ in model.named_parameters() if name.startswith(route)] for route in Moonlight.states
    ]
    assert all(torch.is_tensor(each) for state in found["state"].values() for each in state.values())
