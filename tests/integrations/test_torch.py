"""What torch itself brings around an optimizer: scaled losses, averaged weights, wrapped models, checkpoints by name.
And that the plain loop, with which every client is compared, follows the published formulas.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_optimizer_state_dict,
    set_optimizer_state_dict,
)
from torch.nn.utils import clip_grad_norm_
from torch.optim.lr_scheduler import OneCycleLR
from torch.optim.swa_utils import SWALR, AveragedModel

import muondsl
from generated.keller_jordan import KellerJordan
from generated.moonlight import Moonlight
from muondsl.runtime import SpecOptimizer
from tests.integrations.training import (
    ACCUMULATED,
    CLIP,
    LR,
    STEPS,
    assert_learnt,
    assert_same_optimizers,
    assert_same_parameters,
    batches,
    cosine,
    mean_loss,
    new_model,
    on_cosine,
    plain_loop,
    rates_of,
)
from tests.parity.trajectories import relative
from tests.reference import keller_jordan

HALF = STEPS * ACCUMULATED // 2
"""Batches of half an epoch."""


def begun(kind: type[SpecOptimizer] = Moonlight, seed: int = 0) -> tuple[nn.Module, SpecOptimizer]:
    model = new_model(seed)
    return model, kind(model.named_parameters(), lr=LR)


def by_formulas(model: nn.Module) -> None:
    """Keller Jordan's Muon on the matrices inside of the blocks, Adam on all others, with nothing of the compiler."""
    states: dict[str, dict[str, Tensor]] = {
        name: defaultdict(partial(torch.zeros, (), dtype=torch.float64)) for name, _ in model.named_parameters()
    }
    data = batches()
    for step, (rate, other_rate) in enumerate(zip(on_cosine(LR), on_cosine(3e-4), strict=True), start=1):
        model.zero_grad()
        for batch in data[(step - 1) * ACCUMULATED : step * ACCUMULATED]:
            mean_loss(model, batch).backward()
        clip_grad_norm_(model.parameters(), CLIP)
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None
            is_matrix = name.startswith("blocks.") and "norm" not in name
            found = (
                keller_jordan.muon(
                    parameter.data, parameter.grad, states[name], lr=rate, momentum=0.95, weight_decay=0.1
                )
                if is_matrix
                else keller_jordan.adam(
                    parameter.data, parameter.grad, states[name], step, lr=other_rate, weight_decay=0.1
                )
            )
            parameter.data.copy_(found)


def test_the_plain_loop_follows_the_formulas() -> None:
    start, model, expected = (new_model().double() for _ in range(3))
    kind = muondsl.load("specs/keller_jordan.muon", precision="fp64")
    optimizer = kind(model.named_parameters(), lr=LR, weight_decay=0.1)
    plain_loop(model, optimizer, batches(), cosine(optimizer))
    by_formulas(expected)
    for (name, before), ours, theirs in zip(
        start.named_parameters(), model.parameters(), expected.parameters(), strict=True
    ):
        assert relative(ours - before, theirs - before) < 1e-7, name


# GradScaler


def scaled_loop(
    model: nn.Module, optimizer: SpecOptimizer, scaler: torch.amp.GradScaler, dtype: torch.dtype | None = None
) -> list[float]:
    """The plain loop with a scaled loss."""
    losses, data = [], batches()
    for start in range(0, len(data), ACCUMULATED):
        optimizer.zero_grad()
        for batch in data[start : start + ACCUMULATED]:
            with torch.autocast("cpu", dtype or torch.bfloat16, enabled=dtype is not None):
                loss = mean_loss(model, batch)
            scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        clip_grad_norm_(model.parameters(), CLIP)
        scaler.step(optimizer)
        scaler.update()
        losses.append(ACCUMULATED * loss.item())
    return losses


def test_a_scale_that_is_a_power_of_two_changes_no_bit() -> None:
    model, optimizer = begun()
    losses = scaled_loop(model, optimizer, torch.amp.GradScaler("cpu", init_scale=2.0**10, growth_interval=5))
    assert_learnt(losses)
    expected, plainly = begun()
    plain_loop(expected, plainly, batches())
    assert_same_parameters(model, expected)
    assert_same_optimizers(optimizer, plainly)


def test_half_precision_trains_with_a_scaler() -> None:
    model, optimizer = begun()
    assert_learnt(scaled_loop(model, optimizer, torch.amp.GradScaler("cpu", init_scale=2.0**10), torch.float16))


def test_a_step_whose_gradients_overflow_is_left_out() -> None:
    model, optimizer = begun()
    plain_loop(model, optimizer, batches()[:HALF])
    expected, states = copy.deepcopy(model), copy.deepcopy(optimizer)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    optimizer.zero_grad()
    scaler.scale(mean_loss(model, batches()[HALF])).backward()
    next(model.parameters()).grad[0, 0] = torch.inf
    scaler.step(optimizer)
    scaler.update()
    assert scaler.get_scale() == 512.0
    assert_same_parameters(model, expected)
    assert_same_optimizers(optimizer, states)


# Averaged weights


def test_averaged_weights_and_their_rates_continue_from_a_checkpoint() -> None:
    """SWALR carries the rate of each route to its own end; the average is that of what the steps left behind."""

    def new(seed: int) -> tuple[nn.Module, SpecOptimizer, SWALR, AveragedModel]:
        model, optimizer = begun(KellerJordan, seed)
        return model, optimizer, SWALR(optimizer, [1e-3, 1e-4], anneal_epochs=STEPS), AveragedModel(model)

    passed: list[list[Tensor]] = []

    def train(model: nn.Module, optimizer: SpecOptimizer, schedule: SWALR, average: AveragedModel, at: range) -> None:
        for step in at:
            plain_loop(model, optimizer, batches()[step * ACCUMULATED : (step + 1) * ACCUMULATED], schedule)
            average.update_parameters(model)
            passed.append([each.detach().clone() for each in model.parameters()])

    whole = new(0)
    rates = rates_of(whole[1])
    train(*whole, range(STEPS // 2))
    saved = copy.deepcopy([each.state_dict() for each in whole])
    train(*whole, range(STEPS // 2, STEPS))
    # From η to η′: the part of η is (1 + cos(πt/T)) / 2.
    expected = [(1e-3 + (LR - 1e-3) * part, 1e-4 + (3e-4 - 1e-4) * part) for part in on_cosine(1.0)]
    assert rates == [pytest.approx(each, rel=1e-9) for each in expected]
    for at, mean in enumerate(whole[3].module.parameters()):
        torch.testing.assert_close(mean.data, torch.stack([each[at] for each in passed]).mean(0), rtol=0, atol=1e-6)

    resumed = new(1)
    for each, state in zip(resumed, saved, strict=True):
        each.load_state_dict(state)
    train(*resumed, range(STEPS // 2, STEPS))
    assert_same_parameters(resumed[3], whole[3])
    assert_same_optimizers(resumed[1], whole[1])


def test_a_cycle_of_rates_keeps_their_ratio_and_the_momentum() -> None:
    model, optimizer = begun(KellerJordan)
    rates = rates_of(optimizer)
    peaks = [2 * group["lr"] for group in optimizer.param_groups]
    # The sixth step is that of the peak.
    cycle = OneCycleLR(optimizer, peaks, total_steps=STEPS + 1, pct_start=6 / (STEPS + 1), cycle_momentum=False)
    plain_loop(model, optimizer, batches(), cycle)
    assert max(rates) == rates[5] == pytest.approx((2 * LR, 6e-4), rel=1e-9)
    assert [first / second for first, second in rates] == [pytest.approx(LR / 3e-4, rel=1e-9)] * STEPS
    assert {group["momentum"] for group in optimizer.param_groups} == {0.95}


# Other names, and checkpoints by name


@pytest.mark.parametrize(
    "wrap", [torch.compile, nn.DataParallel, AveragedModel], ids=["compile", "DataParallel", "AveragedModel"]
)
def test_a_wrapped_model_is_divided_as_the_model_itself(wrap: Callable[[nn.Module], nn.Module]) -> None:
    model = new_model()
    expected = [[tuple(each.shape) for each in g["params"]] for g in Moonlight(model.named_parameters()).param_groups]
    wrapped = Moonlight(wrap(model).named_parameters())
    assert [[tuple(each.shape) for each in group["params"]] for group in wrapped.param_groups] == expected
    assert all("." in name.removeprefix("module.") for name in wrapped.param_groups[0]["param_names"])


@pytest.mark.parametrize(
    "options",
    [StateDictOptions(full_state_dict=True, cpu_offload=True), StateDictOptions(flatten_optimizer_state_dict=True)],
    ids=["whole", "flat"],
)
def test_a_distributed_checkpoint_by_name_continues_bitwise(options: StateDictOptions) -> None:
    model, optimizer = begun()
    plain_loop(model, optimizer, batches()[:HALF])
    saved = copy.deepcopy((model.state_dict(), get_optimizer_state_dict(model, optimizer, options=options)))
    resumed, its = begun(seed=1)
    resumed.load_state_dict(saved[0])
    set_optimizer_state_dict(resumed, its, saved[1], options=options)
    for each, own in ((model, optimizer), (resumed, its)):
        plain_loop(each, own, batches()[HALF:])
    assert_same_parameters(resumed, model)
    assert_same_optimizers(its, optimizer)
