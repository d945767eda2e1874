"""What a step makes of numbers that are none, of nothing, of more elements than 32 bits count, and of memory that lies
askew; and that compiled kernels take the same paths.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from unittest.mock import patch

import pytest
import torch
from torch import Tensor

import muondsl
from muondsl.runtime.iteration import Iteration, Member, iteration_launches
from muondsl.runtime.launch import Launch
from muondsl.runtime.step_plan import launches_of
from tests.triton.interpreted import interpreted
from tests.triton.stepping import forms_of, grouped, loaded, numbers, save_findings

SPECS = ("moonlight", "nanochat")

# One launch, product by product, Gram space, and a parameter of the other route.
SHAPES = [(17, 33), (48, 48), (48, 112), (64, 32), (40,), (48, 48)]
SPOILED = {"inf": float("inf"), "nan": float("nan")}
SPOILED_PLACES = (0, 1, 2, 4)
"""Of `SHAPES`, with a gradient of which one element is no number."""

EMPTY = [(0, 5), (5, 0), (0, 0), (12, 20), (0,)]


def stepped_with(optimizer: Any, shapes: list[tuple[int, ...]], gradients: list[Tensor], backend: str) -> list[Tensor]:
    """The parameters after a step."""
    parameters = [torch.nn.Parameter(each) for each in numbers(shapes, gradients[0].dtype, 0.05)]
    with forms_of(optimizer, small=32):
        made = grouped(optimizer, parameters, backend=backend)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient.clone()
        made.step()
    return [each.detach() for each in parameters]


def beyond_numbers(spec: str, dtype: torch.dtype) -> dict[str, tuple[list[Tensor], ...]]:
    """For each number the parameters of kernels and of torch, behind those of kernels with good gradients alone."""
    optimizer = loaded(spec)
    good = numbers(SHAPES, dtype, seed=1)
    clean = stepped_with(optimizer, SHAPES, good, "triton")
    found = {}
    for name, number in SPOILED.items():
        bad = [each.clone() for each in good]
        for place in SPOILED_PLACES:
            bad[place].view(-1)[3] = number
        found[name] = (clean, *(stepped_with(optimizer, SHAPES, bad, backend) for backend in ("triton", "torch")))
    return found


def zeros(spec: str) -> tuple[list[Tensor], ...]:
    optimizer = loaded(spec, precision="fp32")
    gradients = [torch.zeros(shape) for shape in SHAPES]
    return tuple(stepped_with(optimizer, SHAPES, gradients, backend) for backend in ("triton", "torch"))


def empties(spec: str) -> tuple[list[Tensor], ...]:
    optimizer = loaded(spec, precision="fp32")
    return tuple(stepped_with(optimizer, EMPTY, numbers(EMPTY, seed=1), backend) for backend in ("triton", "torch"))


@pytest.mark.parametrize("spec", SPECS)
def test_gradients_beyond_numbers_spoil_the_parameters_that_they_spoil_in_torch_and_no_other(spec: str) -> None:
    """In fp16, where a scaled loss overflows."""
    found = interpreted(__name__)[spec, "beyond numbers"]
    for name, (clean, kernels, torchs) in found.items():
        for place, (alone, ours, theirs) in enumerate(zip(clean, kernels, torchs, strict=True)):
            assert torch.equal(ours.isnan(), theirs.isnan()), f"{name}: {SHAPES[place]}"
            if place not in SPOILED_PLACES:
                assert torch.equal(ours, alone), f"{name}: {SHAPES[place]}"
        assert all(kernels[place].isnan().any() for place in SPOILED_PLACES), name


@pytest.mark.parametrize("spec", SPECS)
def test_gradients_of_zeros_move_nothing_but_by_decay(spec: str) -> None:
    for ours, theirs in zip(*interpreted(__name__)[spec, "zeros"], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("spec", SPECS)
def test_empty_parameters_are_passed_over(spec: str) -> None:
    for ours, theirs in zip(*interpreted(__name__)[spec, "empties"], strict=True):
        assert ours.shape == theirs.shape
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-7)


# More than 2³¹ elements. Pages of memory that no program touches are never there.

PLAIN = """optimizer Plain
hyper lr = 0.5
hyper beta = 0.75
momentum ema(beta = beta)
otherwise {
  state exp_avg = zeros
  exp_avg <- lerp(exp_avg, update, 1 - beta)
  update <- exp_avg
}
"""
HUGE = {"matrix": (65552, 32784), "otherwise": (2**31 + 80,)}


def huge(route: str, *, is_aligned: bool) -> tuple[Tensor, Tensor]:
    """The end of a parameter whose last program alone has run, and what should be there."""
    shape = HUGE[route]
    numel = torch.Size(shape).numel()

    def memory() -> Tensor:
        return torch.empty(numel + 1, dtype=torch.bfloat16)[0 if is_aligned else 1 :][:numel].view(shape)

    parameter, gradient, momentum = torch.nn.Parameter(memory()), memory(), memory()
    for tensor, value in ((parameter.detach(), 1.0), (gradient, 2.0), (momentum, 0.0)):
        tensor.view(-1)[-32 * 1024 :] = value
    optimizer: Any = muondsl.load(PLAIN)
    made = optimizer([{"params": [parameter], "route": route}], backend="triton")
    (state,) = optimizer.states[route]
    made.state[parameter][state.name] = momentum
    parameter.grad = gradient
    run = Launch.run

    def run_last(launch: Launch) -> None:
        *others, programs = launch.arguments
        assert isinstance(programs, Tensor)
        if "IS_ALIGNED" not in launch.constants:
            run(launch)
            return
        program = programs[-1:].clone()
        program[0, 2] = program[0, 3] - 1
        run(replace(launch, grid=1, arguments=(*others, program)))

    with patch.object(Launch, "run", run_last):
        made.step()
    found = torch.stack([parameter.detach().view(-1)[-16:], momentum.view(-1)[-16:]]).clone()
    # momentum = 0 + 0.25 · 2, parameter = 1 − 0.5 · momentum
    return found.float(), torch.tensor([[0.75], [0.5]]).expand(2, 16)


@pytest.mark.parametrize("route", HUGE)
@pytest.mark.parametrize("is_aligned", [True, False])
def test_the_last_of_more_elements_than_32_bits_count_are_reached(route: str, is_aligned: bool) -> None:
    found, expected = interpreted(__name__)[route, is_aligned]
    assert torch.equal(found, expected)


def test_rows_that_products_cannot_address_are_refused() -> None:
    """A tile's offsets are counted in 32 bits: 128 rows of 2²⁴ elements."""
    iteration = Iteration(((3.4445, -4.7750, 2.0315),), torch.bfloat16)
    member = Member(256, 2**24 + 16, 1 << 40, 1 << 41)
    with pytest.raises(ValueError, match=r"rows of 16777232 elements"):
        iteration_launches(iteration, [member], device=torch.device("cpu"), architecture="sm_90")


# The same, compiled.

ODD = {"matrix": [(17, 33), (129, 65)], "otherwise": [(5,), (3, 7)]}


@pytest.mark.parametrize("spec", ["moonlight", "nanochat"])
@pytest.mark.parametrize("route", ODD)
def test_kernels_of_tensors_that_lie_askew_compile(spec: str, route: str) -> None:
    """What the interpreter ran for odd shapes is what a GPU runs: the same constants, without spills."""
    from muondsl.aot.inspect_launches import inspect_launches
    from muondsl.aot.targets import find_target

    launches = [each for each in launches_of(loaded(spec), route, ODD[route]) if "IS_ALIGNED" in each.constants]
    own = [each for each in launches if each.name.startswith(spec)]
    assert own
    assert not any(each.constants["IS_ALIGNED"] for each in own)
    for inspection in inspect_launches(own, [find_target("sm_90")]):
        print(f"\n{inspection.kernel} {inspection.variant}: {inspection.registers} registers", end="")
        assert inspection.spills == 0, inspection.kernel


if __name__ == "__main__":
    cases: dict[Any, Any] = {}
    for spec in SPECS:
        cases[spec, "beyond numbers"] = lambda spec=spec: beyond_numbers(spec, torch.float16)
        cases[spec, "zeros"] = lambda spec=spec: zeros(spec)
        cases[spec, "empties"] = lambda spec=spec: empties(spec)
    for route in HUGE:
        for is_aligned in (True, False):
            cases[route, is_aligned] = lambda route=route, is_aligned=is_aligned: huge(route, is_aligned=is_aligned)
    save_findings(cases)
