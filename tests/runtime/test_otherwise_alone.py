"""A spec of `otherwise` alone steps every parameter by it, without routes and names."""

from __future__ import annotations

import pytest
import torch
from torch.nn import Parameter

import muondsl
from muondsl.runtime import SpecOptimizer
from tests.runtime.subjects import advance, random, snapshot

ADAM = """
optimizer Adam
hyper lr = 1e-2 in [0, inf)
otherwise adamw(betas = (0.9, 0.95), eps = 1e-8, weight_decay = 0.1)
"""
SHAPES = ((6, 4), (5,), (), (2, 3, 3))


def parameters() -> list[Parameter]:
    return [Parameter(random(shape, index)) for index, shape in enumerate(SHAPES)]


@pytest.fixture(scope="module")
def kind() -> type[SpecOptimizer]:
    return muondsl.load(ADAM)


def test_every_parameter_is_stepped_as_torch_steps_it(kind: type[SpecOptimizer]) -> None:
    ours, theirs = kind(parameters()), torch.optim.AdamW(parameters(), 1e-2, (0.9, 0.95), 1e-8, 0.1)
    advance(ours, range(5))
    advance(theirs, range(5))
    assert [group["route"] for group in ours.param_groups] == ["otherwise"]
    for own, other in zip(ours.param_groups[0]["params"], theirs.param_groups[0]["params"], strict=True):
        assert torch.allclose(own, other, rtol=1e-6, atol=1e-7)
    assert not torch.equal(ours.param_groups[0]["params"][0], parameters()[0])


def test_it_knows_no_matrices(kind: type[SpecOptimizer]) -> None:
    with pytest.raises(ValueError, match=r"route should be one of \('otherwise',\) but is: 'matrix'"):
        kind([{"params": parameters(), "route": "matrix"}])
    with pytest.raises(ValueError, match="it takes the route otherwise"):
        kind([("x", parameters()[0])], views={"x": "transpose"})


def test_its_checkpoints_continue(kind: type[SpecOptimizer]) -> None:
    one, other = kind(parameters()), kind(parameters())
    advance(one, range(3))
    other.load_state_dict(one.state_dict())
    assert sorted(other.state[other.param_groups[0]["params"][0]]) == ["exp_avg", "exp_avg_sq", "step"]
    assert [torch.equal(a, b) for a, b in zip(snapshot(one)[1:4], snapshot(other)[1:4], strict=True)] == [True] * 3
