"""Faithful compilations against torch.optim.Muon on the CPU: the same bits, and the same checkpoints."""

from __future__ import annotations

import io
from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.optim import Muon, Optimizer

from muondsl.runtime import SpecOptimizer
from tests.parity.trajectories import SHAPES, advance, gradient, loaded, relative, scheduled_lr, start
from tests.reference import torch_muon as reference

STEPS = 20
HYPERS = {"weight_decay": 0.1, "momentum": 0.9}

FP32, BF16 = torch.float32, torch.bfloat16
shapes = pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "x".join(map(str, shape)))
specs = pytest.mark.parametrize(
    ("name", "options"),
    [
        ("torch_muon", {"nesterov": True}),
        ("torch_muon_plain", {"nesterov": False}),
        ("moonlight", {"adjust_lr_fn": "match_rms_adamw"}),
    ],
    ids=["nesterov", "plain", "moonlight"],
)


def ours(name: str, parameters: list[Tensor]) -> SpecOptimizer:
    return loaded(name, "faithful")([{"params": parameters, "route": "matrix", **HYPERS}], lr=scheduled_lr(0))


def assert_equal_bits(found: Optimizer, parameter: Tensor, expected: Optimizer, other: Tensor) -> None:
    buffer, wanted = found.state[parameter]["momentum_buffer"], expected.state[other]["momentum_buffer"]
    assert buffer.dtype == wanted.dtype
    assert torch.equal(buffer, wanted)
    assert torch.equal(parameter, other)


@shapes
@pytest.mark.parametrize(
    ("name", "options", "dtype"),
    [
        ("torch_muon", {}, FP32),
        ("torch_muon", {}, BF16),
        # In bf16 torch overwrites its momentum without Nesterov: see the next tests.
        ("torch_muon_plain", {"nesterov": False}, FP32),
        ("moonlight", {"adjust_lr_fn": "match_rms_adamw"}, FP32),
        ("moonlight", {"adjust_lr_fn": "match_rms_adamw"}, BF16),
    ],
    ids=["nesterov-fp32", "nesterov-bf16", "plain-fp32", "moonlight-fp32", "moonlight-bf16"],
)
def test_faithful_steps_are_bitwise_those_of_torch(
    name: str, options: dict[str, Any], dtype: torch.dtype, shape: tuple[int, int]
) -> None:
    parameter, other = start(shape, dtype), start(shape, dtype)
    found, expected = ours(name, [parameter]), Muon([other], lr=scheduled_lr(0), **HYPERS, **options)
    for step in range(STEPS):
        for optimizer, each in ((found, parameter), (expected, other)):
            optimizer.param_groups[0]["momentum"] = 0.9 + 0.002 * step
            advance(optimizer, [each], [step])
        assert_equal_bits(found, parameter, expected, other)


@shapes
def test_bf16_momentum_is_the_average_of_gradients_where_torch_overwrites_it(shape: tuple[int, int]) -> None:
    """torch.optim.Muon normalises `grad.bfloat16()` in place, which without Nesterov is the buffer itself."""
    parameter, other = start(shape, BF16), start(shape, BF16)
    found, torchs = ours("torch_muon_plain", [parameter]), Muon([other], nesterov=False, **HYPERS)
    before = torch.zeros(shape, dtype=torch.float64)
    exact = torch.zeros(shape, dtype=torch.float64)
    for step in range(STEPS):
        advance(found, [parameter], [step])
        advance(torchs, [other], [step])
        buffer = found.state[parameter]["momentum_buffer"].double()
        average = 0.9 * before + 0.1 * parameter.grad.double()
        # One rounding to bf16, by half a unit of its 8 bits, of a sum computed in fp32.
        assert torch.all((buffer - average).abs() <= 2**-8 * average.abs() + 1e-6)
        before = buffer
        exact = 0.9 * exact + 0.1 * parameter.grad.double()
    overwritten = torchs.state[other]["momentum_buffer"].double()
    # Ten roundings, as many as are remembered, by random halves of 2⁻⁸.
    assert relative(before, exact) < 0.01
    assert abs(float(overwritten.norm()) - 1) < 0.02
    assert abs(float(exact.norm()) - 1) > 0.2
    assert not torch.equal(parameter, other)


@shapes
def test_bf16_steps_without_nesterov_follow_the_formula_where_those_of_torch_do_not(shape: tuple[int, int]) -> None:
    begin = torch.zeros(shape, dtype=BF16)
    parameter, other = begin.clone().requires_grad_(), begin.clone().requires_grad_()
    advance(ours("torch_muon_plain", [parameter]), [parameter], range(STEPS))
    advance(Muon([other], nesterov=False, **HYPERS), [other], range(STEPS))
    exact, state = begin.double(), {"m": torch.zeros(shape, dtype=torch.float64)}
    for step in range(STEPS):
        rounded = gradient(shape, step).bfloat16().double()
        exact = reference.muon(exact, rounded, state, lr=scheduled_lr(step), nesterov=False, **HYPERS)
    # Newton–Schulz in bf16 and rounded parameters put ours off by 0.013 to 0.015; torch is off by 0.18 to 0.75.
    assert relative(parameter.detach(), exact) < 0.03
    assert relative(other.detach(), exact) > 0.12


def through_a_file(saved: dict[str, Any]) -> dict[str, Any]:
    stream = io.BytesIO()
    torch.save(saved, stream)
    stream.seek(0)
    loaded_again: dict[str, Any] = torch.load(stream, weights_only=True)
    return loaded_again


carriers = pytest.mark.parametrize("carry", [deepcopy, through_a_file], ids=["in_memory", "through_a_file"])


def two_groups(shapes: tuple[tuple[int, int], ...] = ((17, 33), (96, 32))) -> list[Tensor]:
    return [start(shape) for shape in shapes]


@carriers
@specs
@pytest.mark.parametrize("to_torch", [False, True], ids=["from_torch", "to_torch"])
def test_a_checkpoint_continues_bitwise_in_the_other_class(
    name: str, options: dict[str, Any], carry: Any, *, to_torch: bool
) -> None:
    parameters = two_groups()
    groups = [{"params": [parameters[0]], "weight_decay": 0.3}, {"params": [parameters[1]], "momentum": 0.8}]
    routed = [{**group, "route": "matrix"} for group in groups]
    first = loaded(name, "faithful")(routed) if to_torch else Muon(groups, **options)
    advance(first, parameters, range(7))

    others = [parameter.detach().clone().requires_grad_() for parameter in parameters]
    # Hypers that differ: all must come from the checkpoint.
    fresh = [{"params": [other], "weight_decay": 0.0, "momentum": 0.5} for other in others]
    second = Muon(fresh, **options) if to_torch else loaded(name, "faithful")([{**g, "route": "matrix"} for g in fresh])
    second.load_state_dict(carry(first.state_dict()))
    assert [group["weight_decay"] for group in second.param_groups] == [0.3, 0.1]
    assert [group["momentum"] for group in second.param_groups] == [0.95, 0.8]
    for step in range(7, 14):
        advance(first, parameters, [step])
        advance(second, others, [step])
        for parameter, other in zip(parameters, others, strict=True):
            assert_equal_bits(second, other, first, parameter)


def test_adjust_lr_fn_original_is_taken_for_the_default_that_it_names() -> None:
    parameter, other = start((17, 33)), start((17, 33))
    torchs = Muon([other], adjust_lr_fn="original")
    advance(torchs, [other], range(3))
    found = ours("torch_muon", [parameter])
    found.load_state_dict(deepcopy(torchs.state_dict()))
    assert torch.equal(found.state[parameter]["momentum_buffer"], torchs.state[other]["momentum_buffer"])


@pytest.mark.parametrize(
    ("name", "options", "complaint"),
    [
        ("torch_muon", {"ns_steps": 4}, "ns_steps = 4"),
        ("torch_muon", {"nesterov": False}, "nesterov = False"),
        ("torch_muon", {"adjust_lr_fn": "match_rms_adamw"}, "adjust_lr_fn = match_rms_adamw"),
        ("torch_muon", {"eps": 1e-6}, "eps = 1e-06"),
        ("torch_muon", {"ns_coefficients": (2.0, -1.5, 0.5)}, "ns_coefficients = (2.0, -1.5, 0.5)"),
        ("torch_muon_plain", {}, "nesterov = True"),
        ("moonlight", {"adjust_lr_fn": "original"}, "adjust_lr_fn = original"),
        ("keller_jordan", {}, "no fingerprint"),
    ],
)
def test_a_torch_checkpoint_that_means_something_else_is_refused(
    name: str, options: dict[str, Any], complaint: str
) -> None:
    parameter, other = start((17, 33)), start((17, 33))
    torchs, found = Muon([other], **options), ours(name, [parameter])
    advance(torchs, [other], range(2))
    advance(found, [parameter], range(2, 4))
    before = deepcopy(found.state_dict())
    with pytest.raises(ValueError, match="checkpoint") as caught:
        found.load_state_dict(deepcopy(torchs.state_dict()))
    assert complaint in str(caught.value)
    assert found.state_dict()["param_groups"] == before["param_groups"]
    assert torch.equal(found.state[parameter]["momentum_buffer"], before["state"][0]["momentum_buffer"])


def test_a_torch_group_that_was_ours_and_then_changed_is_refused() -> None:
    parameter, other = start((17, 33)), start((17, 33))
    torchs, found = Muon([other]), ours("torch_muon", [parameter])
    torchs.load_state_dict(found.state_dict())
    assert torchs.param_groups[0]["fingerprint"] == found.fingerprint
    found.load_state_dict(torchs.state_dict())
    torchs.param_groups[0]["ns_steps"] = 6
    with pytest.raises(ValueError, match="ns_steps = 6"):
        found.load_state_dict(torchs.state_dict())
