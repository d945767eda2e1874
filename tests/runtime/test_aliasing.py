"""No tensor is written that is another one's memory: gradients, momentum and states stay what they are."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch.nn import Parameter

import muondsl
from muondsl.ir.types import Format
from muondsl.optimize import Numerics
from muondsl.runtime import SpecOptimizer
from tests.runtime.subjects import ROOT, random

# Iterations in the parameter's own format: there a conversion copies nothing.
OWN_FORMAT: tuple[tuple[Format, torch.dtype], ...] = (
    ("fp32", torch.float32),
    ("bf16", torch.bfloat16),
    ("fp64", torch.float64),
)
own_format = pytest.mark.parametrize(("precision", "dtype"), OWN_FORMAT, ids=[name for name, _ in OWN_FORMAT])
numerics_of_both_kinds = pytest.mark.parametrize("numerics", ["faithful", "fast"])
shapes = pytest.mark.parametrize("shape", [(6, 4), (4, 6), (5, 5)])

AVERAGING = ("keller_jordan", "moonlight", "nanochat", "torch_muon", "torch_muon_plain")

NO_MOMENTUM = """
optimizer NoMomentum
hyper lr = 0.02 in [0, inf)
orthogonalize newton_schulz()
"""
THREE_STATES = """
optimizer ThreeStates
hyper lr = 0.02 in [0, inf)
momentum {
  state first  = zeros
  state second = gradient
  state third  = parameter
  second <- first + second
  first  <- update
  third  <- third + first
  update <- third
}
orthogonalize newton_schulz()
"""


@cache
def loaded(spec: str, numerics: Numerics, precision: Format) -> type[SpecOptimizer]:
    return muondsl.load(spec, numerics=numerics, precision=precision)


@own_format
@numerics_of_both_kinds
@pytest.mark.parametrize("name", AVERAGING)
def test_the_momentum_buffer_is_the_average_of_gradients(
    name: str, numerics: Numerics, precision: Format, dtype: torch.dtype
) -> None:
    kind = loaded(str(ROOT / "specs" / f"{name}.muon"), numerics, precision)
    for shape in ((6, 4), (4, 6), (5, 5)):
        parameter = Parameter(random(shape, 1, dtype))
        optimizer = kind([{"params": [parameter], "route": "matrix"}], momentum=0.75)
        average = torch.zeros(shape, dtype=torch.float64)
        for step in range(4):
            gradient = random(shape, 10 + step, dtype)
            parameter.grad = gradient.clone()
            optimizer.step()
            found = optimizer.state[parameter]["momentum_buffer"]
            average = average + 0.25 * (gradient.double() - average)
            # Each of at most four roundings is of numbers below 4, by half a unit.
            assert float((found.double() - average).abs().max()) <= 8 * torch.finfo(dtype).eps
            assert torch.equal(parameter.grad, gradient)


@own_format
@numerics_of_both_kinds
@shapes
def test_a_gradient_that_is_orthogonalised_itself_is_not_modified(
    numerics: Numerics, precision: Format, dtype: torch.dtype, shape: tuple[int, int]
) -> None:
    parameter = Parameter(random(shape, 1, dtype))
    optimizer = loaded(NO_MOMENTUM, numerics, precision)([parameter])
    gradient = random(shape, 2, dtype)
    parameter.grad = gradient.clone()
    optimizer.step()
    assert torch.equal(parameter.grad, gradient)


@own_format
@numerics_of_both_kinds
@shapes
def test_states_that_are_set_from_each_other_do_not_share_memory(
    numerics: Numerics, precision: Format, dtype: torch.dtype, shape: tuple[int, int]
) -> None:
    parameter = Parameter(random(shape, 1, dtype))
    third = parameter.detach().clone()
    optimizer = loaded(THREE_STATES, numerics, precision)([parameter])
    gradients = [random(shape, 10 + step, dtype) for step in range(3)]
    for gradient in gradients:
        parameter.grad = gradient.clone()
        optimizer.step()
        assert torch.equal(parameter.grad, gradient)
        third = third + gradient
    state = optimizer.state[parameter]
    assert torch.equal(state["first"], gradients[2])
    assert torch.equal(state["third"], third)
    assert torch.equal(state["second"], gradients[0] + gradients[0] + gradients[1])
    tensors = [*state.values(), parameter, parameter.grad]
    assert len({each.data_ptr() for each in tensors}) == len(tensors)
