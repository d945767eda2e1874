"""torch.amp.GradScaler: gradients are unscaled as they are read, and a step that it skips leaves no trace."""

from __future__ import annotations

import copy
import inspect
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch.amp import GradScaler
from torch.nn import Parameter

from tests.parity.test_adamw import ADAMW, of_text
from tests.parity.trajectories import loaded, relative
from tests.runtime.subjects import (
    Optimizer,
    advance,
    assert_same,
    every_class_costly,
    flat,
    new_groups,
    new_parameters,
    random,
    set_gradients,
    snapshot,
)

INF = float("inf")


@pytest.fixture(autouse=True)
def no_warnings() -> Iterator[None]:
    """GradScaler warns of optimizers that follow an older protocol."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", FutureWarning)
        yield


def scaled_step(scaler: GradScaler, optimizer: torch.optim.Optimizer, step: int, spoilt: float | None = None) -> None:
    """A step with the gradients that belong to it times the scale, the last with one element that is not finite."""
    parameters = [each for group in optimizer.param_groups for each in group["params"]]
    set_gradients(parameters, step)
    scaler.scale(torch.zeros(()))
    for parameter in parameters:
        parameter.grad = parameter.grad * scaler.get_scale()
    if spoilt is not None:
        parameters[-1].grad.view(-1)[0] = spoilt
    scaler.step(optimizer)
    scaler.update()


@every_class_costly
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_scale_changes_no_bit(kind: Optimizer, dtype: torch.dtype) -> None:
    """One that is a power of two: it is rounded nowhere."""
    scaled, plain = (kind(new_groups(new_parameters(kind, dtype))) for _ in range(2))
    scaler = GradScaler("cpu", init_scale=2.0**10, growth_interval=2)
    for step in range(4):
        scaled_step(scaler, scaled, step)
    advance(plain, range(4))
    assert scaler.get_scale() == 2.0**12
    assert_same(snapshot(scaled), snapshot(plain))
    assert not hasattr(scaled, "grad_scale")
    assert not hasattr(scaled, "found_inf")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_any_scale_is_undone_as_torch_undoes_it(dtype: torch.dtype) -> None:
    """Bitwise torch.optim.Muon, whose gradients GradScaler unscales itself; through a backward pass."""
    kind = loaded("torch_muon", "faithful")
    ours, theirs = (Parameter(random((17, 33), 1, dtype)) for _ in range(2))
    optimizers = kind([{"params": [ours], "route": "matrix"}], lr=0.02), torch.optim.Muon([theirs], lr=0.02)
    for optimizer, parameter in zip(optimizers, (ours, theirs), strict=True):
        scaler = GradScaler("cpu", init_scale=37.7, growth_factor=1.3, growth_interval=1)
        for step in range(4):
            optimizer.zero_grad()
            scaler.scale((parameter * random((17, 33), 50 + step, dtype)).sum()).backward()
            scaler.step(optimizer)
            scaler.update()
    assert torch.equal(ours, theirs)


def test_steps_and_skips_are_those_of_torchs_fused_adamw() -> None:
    """fused=True follows the same protocol and unscales inside of its kernel."""
    hypers: dict[str, Any] = {"lr": 0.02, "weight_decay": 0.1}
    ours, theirs = ([Parameter(random(shape, 1)) for shape in ((17, 33), (5,), ())] for _ in range(2))
    found = of_text(ADAMW)([{"params": ours, "route": "otherwise"}], **hypers)
    expected = torch.optim.AdamW(theirs, fused=True, **hypers)
    scalers = [GradScaler("cpu", init_scale=48.0, growth_interval=3) for _ in range(2)]
    for step in range(12):
        for scaler, optimizer in zip(scalers, (found, expected), strict=True):
            scaled_step(scaler, optimizer, step, spoilt={0: INF, 5: float("nan"), 6: -INF}.get(step))
        for own, other in zip(ours, theirs, strict=True):
            assert relative(own.detach(), other.detach()) <= 1e-6
            if step:
                assert float(found.state[own]["step"]) == float(expected.state[other]["step"])
    assert scalers[0].state_dict() == scalers[1].state_dict()


@every_class_costly
@pytest.mark.parametrize("spoilt", [INF, -INF, float("nan")])
@pytest.mark.parametrize("options", [{}, {"capturable": True}], ids=["host", "capturable"])
def test_a_skipped_step_changes_nothing(kind: Optimizer, spoilt: float, options: dict[str, Any]) -> None:
    optimizer, other = (kind(new_groups(new_parameters(kind)), **options) for _ in range(2))
    scaler = GradScaler("cpu", init_scale=2.0**10)
    for step in range(2):
        scaled_step(scaler, optimizer, step)
    before = snapshot(optimizer)
    scaled_step(scaler, optimizer, 2, spoilt=spoilt)
    assert scaler.get_scale() == 2.0**9
    assert_same(snapshot(optimizer), before)
    scaled_step(scaler, optimizer, 3)
    advance(other, [0, 1, 3])
    assert_same(snapshot(optimizer), snapshot(other))


@every_class_costly
@pytest.mark.parametrize("options", [{}, {"capturable": True}], ids=["host", "capturable"])
def test_a_skipped_first_step_makes_no_state(kind: Optimizer, options: dict[str, Any]) -> None:
    optimizer, other = (kind(new_groups(new_parameters(kind)), **options) for _ in range(2))
    scaler = GradScaler("cpu", init_scale=2.0**10)
    scaled_step(scaler, optimizer, 0, spoilt=INF)
    assert not optimizer.state
    assert not optimizer.state_dict()["state"]
    scaled_step(scaler, optimizer, 1)
    advance(other, [1])
    assert_same(snapshot(optimizer), snapshot(other))


@every_class_costly
def test_gradients_that_were_unscaled_before_are_taken_as_they_are(kind: Optimizer) -> None:
    optimizers = [kind(new_groups(new_parameters(kind))) for _ in range(2)]
    scaler = GradScaler("cpu", init_scale=2.0**10)
    for step in range(3):
        for optimizer in optimizers:
            parameters = [each for group in optimizer.param_groups for each in group["params"]]
            set_gradients(parameters, step)
            if optimizer is optimizers[0]:
                scaler.scale(torch.zeros(()))
                for parameter in parameters:
                    parameter.grad *= scaler.get_scale()
                scaler.unscale_(optimizer)
            torch.nn.utils.clip_grad_norm_(parameters, 0.1)
            if optimizer is optimizers[0]:
                scaler.step(optimizer)
                scaler.update()
            else:
                optimizer.step()
    assert_same(snapshot(optimizers[0]), snapshot(optimizers[1]))
    scaler.scale(torch.zeros(()))
    before = snapshot(optimizers[0])
    parameters[0].grad.fill_(INF)
    optimizers[0].param_groups[0]["params"][0].grad.fill_(INF)
    scaler.unscale_(optimizers[0])
    scaler.step(optimizers[0])
    assert_same(snapshot(optimizers[0]), before)


@every_class_costly
def test_scaling_and_maximize_go_together_and_gradients_stay_scaled(kind: Optimizer) -> None:
    scaled = kind(new_groups(new_parameters(kind)), maximize=True)
    plain = kind(new_groups(new_parameters(kind)), maximize=True)
    scaled_step(GradScaler("cpu", init_scale=8.0), scaled, 0)
    advance(plain, [0])
    assert_same(snapshot(scaled), snapshot(plain))
    for one, other in zip(scaled.param_groups, plain.param_groups, strict=True):
        for own, theirs in zip(one["params"], other["params"], strict=True):
            assert torch.equal(own.grad, 8 * theirs.grad)


@every_class_costly
def test_the_signature_is_that_of_the_present_protocol(kind: Optimizer) -> None:
    assert kind._step_supports_amp_scaling is True
    assert list(inspect.signature(kind(new_groups(new_parameters(kind))).step).parameters) == ["closure"]


@every_class_costly
def test_a_scaler_that_is_off_and_gradients_that_are_none_are_as_without(kind: Optimizer) -> None:
    optimizer, other = (kind(new_groups(new_parameters(kind))) for _ in range(2))
    scaler = GradScaler("cpu", enabled=False)
    for parameter in (each for group in optimizer.param_groups for each in group["params"]):
        parameter.grad = None
    set_gradients(flat({"all": [each for group in optimizer.param_groups for each in group["params"]]}), 0)
    scaler.step(optimizer)
    scaler.update()
    advance(other, [0])
    assert_same(snapshot(optimizer), snapshot(other))
    optimizer.zero_grad()
    scaler = GradScaler("cpu")
    scaler.scale(torch.zeros(()))
    scaler.step(optimizer)
    assert_same(snapshot(optimizer), snapshot(other))


@every_class_costly
def test_a_scale_that_the_user_sets_counts_too(kind: Optimizer) -> None:
    """GradScaler takes the product of its scale and one that is there, and takes both away."""
    optimizer, other = (kind(new_groups(new_parameters(kind))) for _ in range(2))
    optimizer.grad_scale = torch.tensor(0.25)
    set_gradients([each for group in optimizer.param_groups for each in group["params"]], 0)
    scaler = GradScaler("cpu", init_scale=4.0)
    scaler.scale(torch.zeros(()))
    scaler.step(optimizer)
    advance(other, [0])
    assert_same(snapshot(optimizer), snapshot(other))


@every_class_costly
def test_copies_of_a_scaled_run_go_on_bitwise(kind: Optimizer) -> None:
    optimizer = kind(new_groups(new_parameters(kind)))
    scaler = GradScaler("cpu", init_scale=2.0**10)
    scaled_step(scaler, optimizer, 0)
    other, same = copy.deepcopy(optimizer), copy.deepcopy(scaler)
    for step in (1, 2):
        scaled_step(scaler, optimizer, step, spoilt=INF if step == 1 else None)
        scaled_step(same, other, step, spoilt=INF if step == 1 else None)
    assert_same(snapshot(optimizer), snapshot(other))


def test_gradients_of_fp16_that_torch_refuses_to_unscale_are_divided_in_fp32_where_there_are_masters() -> None:
    """2⁻²⁰ is no number of fp16, and a scale is for gradients of this size."""
    parameter = Parameter(torch.ones(4, dtype=torch.float16))
    optimizer = of_text(ADAMW)([{"params": [parameter], "route": "otherwise"}], lr=0.5, master_weights=True)
    scaler = GradScaler("cpu", init_scale=2.0**10)
    scaler.scale(torch.zeros(()))
    parameter.grad = torch.full((4,), 2.0**-20 * 2**10, dtype=torch.float16)
    scaler.step(optimizer)
    assert torch.equal(optimizer.state[parameter]["exp_avg"], 0.1 * torch.full((4,), 2.0**-20))
    # The first step of Adam is as long as its learning rate, but for eps.
    assert torch.allclose(parameter.float(), torch.full((4,), 0.5), atol=0.01)
