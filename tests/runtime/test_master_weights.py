"""Parameters of 16 bits that have masters in fp32 are stepped as parameters in fp32 are, and are their rounding."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import Parameter

import muondsl
from muondsl.runtime import SpecOptimizer
from tests.conformance.test_checkpoints import Saved, assert_refused, through_a_file
from tests.parity.test_adamw import ADAMW, of_text
from tests.runtime.subjects import (
    RETRACTING,
    ROOT,
    Optimizer,
    advance,
    assert_same,
    every_class_costly,
    flat,
    new_groups,
    new_parameters,
    random,
    snapshot,
)

narrow = pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bf16", "fp16"])


def in_fp32(parameters: dict[str, list[Parameter]]) -> dict[str, list[Parameter]]:
    return {route: [Parameter(each.detach().float()) for each in members] for route, members in parameters.items()}


def with_masters(kind: Optimizer, dtype: torch.dtype = torch.bfloat16, **hypers: Any) -> SpecOptimizer:
    return kind(new_groups(new_parameters(kind, dtype), **hypers), master_weights=True)


def members(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [each for group in optimizer.param_groups for each in group["params"]]


def advance_both(narrow: SpecOptimizer, wide: SpecOptimizer, steps: range) -> None:
    """Both with the same numbers as gradients."""
    for step in steps:
        for index, (own, other) in enumerate(zip(members(narrow), members(wide), strict=True)):
            own.grad = random(tuple(own.shape), 100 * step + index, own.dtype)
            other.grad = own.grad.float()
        narrow.step()
        wide.step()


def assert_masters_are(narrow: SpecOptimizer, wide: SpecOptimizer) -> None:
    """Masters and states are bitwise the parameters and states of a run in fp32, parameters their rounding."""
    for own, other in zip(members(narrow), members(wide), strict=True):
        state = dict(narrow.state[own])
        master = state.pop("master")
        assert_same([master, *state.values()], [other.detach(), *wide.state[other].values()])
        assert list(state) == list(wide.state[other])
        assert torch.equal(own, master.to(own.dtype))


@every_class_costly
@narrow
def test_masters_and_states_are_bitwise_those_of_fp32(kind: Optimizer, dtype: torch.dtype) -> None:
    parameters = new_parameters(kind, dtype)
    narrow = kind(new_groups(parameters, lr=1e-3), master_weights=True)
    wide = kind(new_groups(in_fp32(parameters), lr=1e-3))
    advance_both(narrow, wide, range(5))
    assert_masters_are(narrow, wide)


VIEWS = """optimizer Viewed
hyper lr = 0.05
view flatten where ndim == 4
view batch where ndim == 3
view transpose, split(2) where ndim == 2
momentum nesterov_heavy_ball(0.9)
orthogonalize newton_schulz(steps = 5, coefficients = keller_jordan, eps = 1e-7)
adapt normuon(0.95)
"""


@narrow
def test_matrices_in_a_parameter_are_stepped_on_its_master(dtype: torch.dtype) -> None:
    def laid(shape: tuple[int, ...]) -> Tensor:
        value = 0.1 * random(shape, sum(shape), dtype)
        return value.contiguous(memory_format=torch.channels_last) if len(shape) == 4 else value

    narrow_ones = [Parameter(laid(shape)) for shape in ((6, 8), (3, 4, 5), (4, 3, 2, 2))]
    wide_ones = [Parameter(each.detach().float()) for each in narrow_ones]
    kind = muondsl.load(VIEWS)
    narrow = kind(narrow_ones, master_weights=True)
    wide = kind(wide_ones)
    advance_both(narrow, wide, range(3))
    assert_masters_are(narrow, wide)
    assert [narrow.state[each]["master"].stride() for each in narrow_ones] == [each.stride() for each in narrow_ones]


def test_steps_that_are_smaller_than_half_a_unit_are_not_lost() -> None:
    """Of bf16 at 1, which is 2⁻⁹; the first steps of Adam are as long as its learning rate."""
    moved = {}
    for has_masters in (True, False):
        parameter = Parameter(torch.ones(8, dtype=torch.bfloat16))
        optimizer = of_text(ADAMW)([parameter], lr=1e-4, master_weights=has_masters)
        for _ in range(40):
            parameter.grad = torch.ones_like(parameter)
            optimizer.step()
        moved[has_masters] = parameter.detach().float()
    assert torch.equal(moved[False], torch.ones(8))
    assert torch.allclose(moved[True], torch.full((8,), 1 - 40e-4), atol=2**-9)


@every_class_costly
def test_wider_parameters_have_no_master(kind: Optimizer) -> None:
    for dtype in (torch.float32, torch.float64):
        optimizer, other = (kind(new_groups(new_parameters(kind, dtype)), master_weights=on) for on in (True, False))
        for each in (optimizer, other):
            advance(each, range(2))
        assert_same(snapshot(optimizer), snapshot(other))
        assert not any("master" in state for state in optimizer.state.values())


def carried(optimizer: SpecOptimizer, carry: Callable[[Saved], Saved]) -> SpecOptimizer:
    groups = [
        {"params": [Parameter(each.detach().clone()) for each in group["params"]], "route": group["route"]}
        for group in optimizer.param_groups
    ]
    other = type(optimizer)(groups, master_weights=True)
    other.load_state_dict(carry(optimizer.state_dict()))
    return other


WAYS: dict[str, Callable[[SpecOptimizer], SpecOptimizer]] = {
    "state_dict": lambda optimizer: carried(optimizer, copy.deepcopy),
    "file": lambda optimizer: carried(optimizer, through_a_file),
    "deepcopy": copy.deepcopy,
    "pickle": lambda optimizer: pickle.loads(pickle.dumps(optimizer)),
}


@every_class_costly
@narrow
@pytest.mark.parametrize("way", WAYS)
def test_a_copy_continues_bitwise(kind: Optimizer, dtype: torch.dtype, way: str) -> None:
    optimizer = with_masters(kind, dtype, lr=0.03)
    advance(optimizer, range(3))
    other = WAYS[way](optimizer)
    assert_same(snapshot(other), snapshot(optimizer))
    masters = [optimizer.state[each]["master"] for each in members(optimizer)]
    # Without masters that hold more than their parameters, nothing would be lost that this test could miss.
    assert kind.__name__ in RETRACTING or any(not torch.equal(each, each.to(dtype).float()) for each in masters)
    advance(optimizer, range(3, 6))
    advance(other, range(3, 6))
    assert_same(snapshot(other), snapshot(optimizer))


@every_class_costly
@narrow
def test_masters_are_made_of_the_parameters_where_a_checkpoint_has_none(kind: Optimizer, dtype: torch.dtype) -> None:
    """By the next step, so that it does not matter which is loaded first, the model or the optimizer."""
    plain = kind(new_groups(new_parameters(kind, dtype)))
    advance(plain, range(2))
    optimizer = with_masters(kind, dtype)
    optimizer.load_state_dict(copy.deepcopy(plain.state_dict()))
    wide = kind(new_groups(in_fp32(new_parameters(kind, dtype))))
    wide.load_state_dict(copy.deepcopy(plain.state_dict()))
    with torch.no_grad():
        for own, other, trained in zip(members(optimizer), members(wide), members(plain), strict=True):
            own.copy_(trained)
            other.copy_(trained)
    advance_both(optimizer, wide, range(2, 4))
    assert_masters_are(optimizer, wide)


@every_class_costly
def test_a_checkpoint_with_masters_is_refused_where_they_would_be_lost(kind: Optimizer) -> None:
    writer = with_masters(kind)
    advance(writer, range(2))
    reader = kind(new_groups(new_parameters(kind, torch.bfloat16)))
    advance(reader, [0])
    assert_refused(reader, writer.state_dict(), r"has a master in fp32 for parameter 0, .* master_weights=True")
    reader = kind(new_groups(new_parameters(kind)), master_weights=True)
    advance(reader, [0])
    assert_refused(reader, writer.state_dict(), "parameter 0, .*; the parameter is in torch.float32")


@every_class_costly
def test_a_master_of_another_shape_is_refused(kind: Optimizer) -> None:
    optimizer = with_masters(kind)
    advance(optimizer, [0])
    saved = copy.deepcopy(optimizer.state_dict())
    saved["state"][1]["master"] = torch.zeros(2, 2)
    assert_refused(optimizer, saved, r"parameter 1 should have states .* \(2, 2\)")


def test_bytes_of_states_count_masters() -> None:
    kind = muondsl.load(ROOT / "specs" / "nanochat.muon")
    named = [("a.weight", Parameter(torch.zeros(6, 4, dtype=torch.bfloat16)))]
    named += [("a.bias", Parameter(torch.zeros(10, dtype=torch.bfloat16)))]
    plain = [row.state_bytes for row in kind(named).routing()]
    masters = [row.state_bytes for row in kind(named, master_weights=True).routing()]
    # Momentum of the matrix and one number a row, in fp32 either way; two moments of the bias.
    assert plain == [2 * 24 + 4 * 6, 2 * 2 * 10]
    assert masters == [(4 + 4) * 24 + 4 * 6, 4 * 10 + 2 * 4 * 10]


class Tiny(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(12, 8)
        self.hidden = nn.Linear(8, 8)
        self.lm_head = nn.Linear(8, 12, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.lm_head(torch.tanh(self.hidden(self.embed(tokens))))


def test_a_model_in_bf16_learns_by_masters() -> None:
    torch.manual_seed(0)
    model = Tiny().bfloat16()
    kind = muondsl.load(ROOT / "specs" / "moonlight.muon")
    optimizer = kind.for_model(model, lr=0.02, master_weights=True)
    tokens = torch.arange(12)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(tokens).float(), (tokens + 1) % 12)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.1 * losses[0]
    assert all(parameter.dtype == torch.bfloat16 for parameter in model.parameters())


@every_class_costly
def test_they_do_not_go_with_stochastic_rounding(kind: Optimizer) -> None:
    with pytest.raises(ValueError, match="cannot have master_weights and stochastic_rounding"):
        kind(new_groups(new_parameters(kind)), master_weights=True, stochastic_rounding=1)


@every_class_costly
def test_a_parameter_that_is_added_later_has_a_master_too(kind: Optimizer) -> None:
    optimizer = with_masters(kind)
    advance(optimizer, [0])
    added = Parameter(random((4, 6), 9, torch.bfloat16))
    optimizer.add_param_group({"params": [added], "route": "matrix"})
    advance(optimizer, [1])
    assert torch.equal(added, optimizer.state[added]["master"].bfloat16())
    assert len(flat({"all": members(optimizer)})) == len(optimizer.state)
