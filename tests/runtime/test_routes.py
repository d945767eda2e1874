"""Which parameters take which route: by the spec, by the group, and never by default."""

from __future__ import annotations

import copy
import pickle
import re
from functools import cache
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import Parameter

import muondsl
from generated.keller_jordan import KellerJordan
from generated.moonlight import Moonlight
from generated.torch_muon import TorchMuon
from muondsl.runtime import SpecOptimizer
from tests.runtime.subjects import CORE_CLASSES, Optimizer, advance, each_of, every_class, random

routed = each_of(kind for kind in CORE_CLASSES if kind.routes)

OVERLAPPING = """
optimizer Overlapping
hyper lr = 0.02 in [0, inf)
route matrix    ndim == 2
route otherwise ndim < 3 and not named("hidden.*")
momentum        ema(beta = 0.9)
otherwise       adamw()
"""
UNROUTED = """
optimizer Unrouted
hyper lr = 0.02 in [0, inf)
momentum        ema(beta = 0.9)
otherwise       adamw()
"""


@cache
def of_text(text: str) -> type[SpecOptimizer]:
    return muondsl.load(text)


def matrix(seed: int = 1) -> Parameter:
    return Parameter(random((4, 6), seed))


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(10, 4)
        self.hidden = nn.Linear(4, 6)
        self.norm = nn.LayerNorm(6)
        self.lm_head = nn.Linear(6, 10, bias=False)


@routed
def test_a_model_is_divided_by_name_and_shape(kind: Optimizer) -> None:
    model = Model()
    optimizer = kind(model.named_parameters())
    names = {group["route"]: group["param_names"] for group in optimizer.param_groups}
    assert names == {
        "matrix": ["hidden.weight"],
        "otherwise": ["embed.weight", "hidden.bias", "norm.weight", "norm.bias", "lm_head.weight"],
    }
    members = {group["route"]: group["params"] for group in optimizer.param_groups}
    assert members["matrix"][0] is model.hidden.weight
    advance(optimizer, range(2))
    assert set(optimizer.state[model.hidden.weight]) == {each.name for each in kind.states["matrix"]}
    assert set(optimizer.state[model.embed.weight]) == {"exp_avg", "exp_avg_sq", "step"}
    assert float(optimizer.state[model.embed.weight]["step"]) == 2


@routed
def test_a_group_is_divided_with_its_own_hypers(kind: Optimizer) -> None:
    groups = [{"params": [("a.weight", matrix()), ("a.bias", Parameter(torch.zeros(4)))], "lr": 0.125}]
    optimizer = kind(groups, momentum=0.25)
    assert [(group["route"], group["lr"], group["momentum"]) for group in optimizer.param_groups] == [
        ("matrix", 0.125, 0.25),
        ("otherwise", 0.125, 0.25),
    ]


@routed
def test_parameters_that_no_route_claims_are_listed_by_name(kind: Optimizer) -> None:
    roles = {"a.weight": "matrix", "b.weight": "conv", "c.weight": "expert"}
    claimed = [role for role in ("conv", "expert") if takes(kind, role)]
    named = [(name, Parameter(torch.zeros(2, 2, 3))) for name in ("b.weight", "c.weight")]
    with pytest.raises(ValueError, match="cannot route") as caught:
        kind([("a.weight", matrix()), *named], roles=roles)
    refused = [name for name in ("b.weight", "c.weight") if roles[name] not in claimed]
    expected = "; ".join(f"{name} of size (2, 2, 3) (claimed by no route)" for name in refused)
    assert str(caught.value).split(": ", 1)[1].startswith(f"{expected}. Use {kind.__name__}.for_model(model)")


def takes(kind: Optimizer, role: str) -> bool:
    parameter = muondsl.runtime.Parameter("x", (2, 2, 3), frozenset({role}))
    return any(claims(parameter) for claims in kind.routes.values())


def test_parameters_that_two_routes_claim_are_listed_by_name() -> None:
    kind = of_text(OVERLAPPING)
    with pytest.raises(ValueError, match="cannot route") as caught:
        kind([("hidden.a", matrix()), ("b", matrix()), ("c", Parameter(torch.zeros(3))), ("d", matrix())])
    assert (
        str(caught.value)
        .split(": ", 1)[1]
        .startswith(
            "b of size (4, 6) (claimed by matrix and otherwise); d of size (4, 6) (claimed by matrix and otherwise)"
        )
    )
    assert [group["route"] for group in kind([("hidden.a", matrix())]).param_groups] == ["matrix"]


@pytest.mark.parametrize("name", ["Hidden.a", "my.hidden.a", "hidden"])
def test_globs_match_whole_names_and_case(name: str) -> None:
    with pytest.raises(ValueError, match=rf": {name} of size .* \(claimed by matrix and otherwise\)"):
        of_text(OVERLAPPING)([(name, matrix())])


@routed
def test_unnamed_matrices_get_an_error_that_says_how_to_name_them(kind: Optimizer) -> None:
    with pytest.raises(ValueError, match=r"cannot route these parameters: unnamed of size \(4, 6\) \(may be") as caught:
        kind([Parameter(torch.zeros(3)), matrix()])
    assert "pass model.named_parameters()" in str(caught.value)
    with pytest.warns(UserWarning, match="got no matrix"):
        (group,) = kind([Parameter(torch.zeros(3))]).param_groups
    assert group["route"] == "otherwise"


@routed
def test_named_and_unnamed_parameters_do_not_mix(kind: Optimizer) -> None:
    with pytest.raises(ValueError, match="with/without names"):
        kind([("a.weight", matrix()), Parameter(torch.zeros(3))])


@each_of(CORE_CLASSES)
def test_only_matrices_may_take_the_matrix_route(kind: Optimizer) -> None:
    for shape in ((4,), ()):
        optimizer = kind([{"params": [matrix()], "route": "matrix"}])
        complaint = rf"cannot (orthogonalise|see) unnamed of size {re.escape(str(shape))}"
        with pytest.raises(ValueError, match=complaint):
            optimizer.add_param_group({"params": [matrix(2), Parameter(torch.zeros(shape))], "route": "matrix"})
        assert len(optimizer.param_groups) == 1


@pytest.mark.parametrize("kind", [KellerJordan, Moonlight, TorchMuon], ids=lambda kind: kind.__name__)
def test_three_dimensions_are_refused_where_no_view_by_shape_takes_them(kind: Optimizer) -> None:
    with pytest.raises(ValueError, match=r"cannot (orthogonalise|see) unnamed of size \(2, 2, 2\)"):
        kind([{"params": [Parameter(torch.zeros(2, 2, 2))], "route": "matrix"}])


@every_class
def test_a_route_that_the_spec_does_not_have_is_refused(kind: Optimizer) -> None:
    with pytest.raises(ValueError, match=r"route should be one of .*'matrix'.* but is: 'adam'"):
        kind([{"params": [matrix()], "route": "adam"}])


def test_a_class_without_otherwise_takes_matrices_without_names_and_nothing_else() -> None:
    assert TorchMuon([matrix()]).param_groups[0]["route"] == "matrix"
    with pytest.raises(ValueError, match="route should be one of"):
        TorchMuon([{"params": [matrix()], "route": "otherwise"}])
    with pytest.raises(ValueError, match="no view says what matrices are in its 1 dimensions"):
        TorchMuon([Parameter(torch.zeros(3))])


def test_a_spec_without_routes_asks_each_group_for_one() -> None:
    kind = of_text(UNROUTED)
    with pytest.raises(ValueError, match="has no routes of its own: give each parameter group"):
        kind([matrix()])
    optimizer = kind([{"params": [matrix()], "route": "otherwise"}])
    advance(optimizer, [0])
    assert "exp_avg" in optimizer.state[optimizer.param_groups[0]["params"][0]]


@routed
def test_an_explicit_route_wins_over_the_name(kind: Optimizer) -> None:
    groups = [{"params": [("embed.weight", matrix())], "route": "matrix"}]
    groups += [{"params": [("hidden.weight", matrix())], "route": "otherwise"}]
    optimizer = kind(groups)
    assert [(group["route"], group["param_names"]) for group in optimizer.param_groups] == [
        ("matrix", ["embed.weight"]),
        ("otherwise", ["hidden.weight"]),
    ]


@routed
def test_a_group_that_fails_halfway_adds_nothing(kind: Optimizer) -> None:
    bias = Parameter(torch.zeros(3))
    optimizer = kind([{"params": [("bias", bias)], "route": "otherwise"}])
    with pytest.raises(ValueError, match="more than one parameter group"):
        optimizer.add_param_group({"params": [("a.weight", matrix()), ("again", bias)]})
    assert [group["param_names"] for group in optimizer.param_groups] == [["bias"]]


def rates(optimizer: SpecOptimizer) -> dict[str, Any]:
    return {group["route"]: group["lr"] for group in optimizer.param_groups}


def some() -> list[tuple[str, Parameter]]:
    return [("a.weight", matrix()), ("a.bias", Parameter(torch.ones(4)))]


def test_otherwise_lr_is_the_default_of_that_route_alone() -> None:
    assert rates(KellerJordan(some())) == {"matrix": 0.02, "otherwise": 3e-4}
    assert rates(KellerJordan(some(), lr=0.5)) == {"matrix": 0.5, "otherwise": 3e-4}
    assert rates(KellerJordan(some(), otherwise_lr=0.25)) == {"matrix": 0.02, "otherwise": 0.25}
    assert rates(KellerJordan([{"params": some(), "lr": 0.125}])) == {"matrix": 0.125, "otherwise": 0.125}
    assert rates(Moonlight(some(), lr=0.5)) == {"matrix": 0.5, "otherwise": 0.5}
    assert rates(Moonlight(some(), lr=0.5, otherwise_lr=0.25)) == {"matrix": 0.5, "otherwise": 0.25}
    decays = Moonlight(some(), weight_decay=0.5, otherwise_weight_decay=0.0).param_groups
    assert [group["weight_decay"] for group in decays] == [0.5, 0.0]


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))])
def test_otherwise_lr_holds_for_groups_added_to_a_copy(copied: Any) -> None:
    optimizer = copied(KellerJordan(some(), otherwise_lr=0.25))
    optimizer.add_param_group({"params": [("b.bias", Parameter(torch.ones(4)))]})
    assert optimizer.param_groups[-1]["lr"] == 0.25


def test_otherwise_lr_steps_with_it() -> None:
    named = some()
    before = [each.detach().clone() for _, each in named]
    advance(KellerJordan(named, lr=0.0, otherwise_lr=0.5), [0])
    assert torch.equal(named[0][1], before[0])
    # The first step of Adam is as long as its learning rate.
    assert torch.allclose((named[1][1] - before[1]).abs(), torch.tensor(0.5))


@pytest.mark.parametrize("value", [-1.0, float("nan"), torch.tensor([0.1, 0.1])])
def test_otherwise_lr_out_of_range_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"otherwise_lr (should be in|must be 1-element)"):
        KellerJordan([("a.weight", matrix())], otherwise_lr=value)
