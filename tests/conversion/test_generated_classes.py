"""What generated classes have and no other system has: views, masters, and steps along the gradient."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.nn import Parameter

import muondsl
from tests.conversion.runs import AVERAGE, SUM, advance, copies, loaded, new_parameters, random, spec

SHAPES = ((6, 4), (8, 3, 2, 2))
NORMED = spec("Normed", "nesterov(beta = momentum)", adapt="normuon(beta2 = 0.95)")
NORMED_SUM = spec("NormedSum", "nesterov_heavy_ball(beta = momentum)", adapt="normuon(beta2 = 0.95)")
Made = tuple[torch.optim.Optimizer, list[Parameter]]


def made(text: str, parameters: list[Parameter], **options: Any) -> Any:
    return loaded(text)(
        [{"params": list(zip(("weight", "filters"), parameters, strict=True)), "route": "matrix"}],
        views={"filters": "flatten"},
        **options,
    )


def stepped(text: str, steps: int = 4, **options: Any) -> Made:
    parameters = new_parameters(SHAPES)
    optimizer = made(text, parameters, **options)
    advance(optimizer, parameters, range(steps))
    return optimizer, parameters


@pytest.mark.parametrize(("source", "target"), [(AVERAGE, SUM), (NORMED, NORMED_SUM)], ids=["full", "of rows"])
def test_states_of_filters_go_along(source: str, target: str) -> None:
    before, parameters = stepped(source)
    found = muondsl.convert(before.state_dict(), source, target).checkpoint
    resumed = copies(parameters)
    optimizer = made(target, resumed)
    optimizer.load_state_dict(found)
    from_the_start, whole = stepped(target, steps=4)
    for mine, expected in zip(resumed, whole, strict=True):
        for name, state in from_the_start.state[expected].items():
            torch.testing.assert_close(optimizer.state[mine][name], state, rtol=1e-12, atol=1e-14)


def test_a_state_that_a_view_divides_cannot_begin_anew() -> None:
    optimizer, _ = stepped(AVERAGE)
    with pytest.raises(
        muondsl.ConversionError, match=r"parameter 1 \(filters\): `second_momentum_buffer` cannot begin anew"
    ):
        muondsl.convert(optimizer.state_dict(), AVERAGE, NORMED, fresh=["second_momentum_buffer"])


def with_masters(text: str) -> Made:
    parameters = [Parameter(random((6, 4), 10, torch.float32).bfloat16())]
    optimizer = muondsl.load(text)([{"params": parameters, "route": "matrix"}], master_weights=True)
    for step in range(3):
        parameters[0].grad = random((6, 4), 20 + step, torch.float32).bfloat16()
        optimizer.step()
    return optimizer, parameters


def test_masters_go_along_bit_by_bit() -> None:
    before, parameters = with_masters(AVERAGE)
    done = muondsl.convert(before.state_dict(), AVERAGE, SUM)
    assert "momentum_buffer × 20 = 1/(1 − 0.95), rounded once to float32" in str(done.report)
    assert "[6, 4]: master as it was" in str(done.report)
    again = copies(parameters)
    optimizer = muondsl.load(SUM)([{"params": again, "route": "matrix"}], master_weights=True)
    optimizer.load_state_dict(done.checkpoint)
    assert torch.equal(optimizer.state[again[0]]["master"], before.state[parameters[0]]["master"])
    assert optimizer.state[again[0]]["master"].data_ptr() != before.state[parameters[0]]["master"].data_ptr()


def test_a_master_is_lost_on_demand_alone() -> None:
    optimizer, _ = with_masters(AVERAGE)
    saved = optimizer.state_dict()
    with pytest.raises(muondsl.ConversionError, match="has no place for its master in fp32\n  help: `--drop master`"):
        muondsl.convert(saved, AVERAGE, "torch.optim.Muon")
    done = muondsl.convert(saved, AVERAGE, "torch.optim.Muon", drop=["master"])
    assert "master left behind" in str(done.report)
    assert done.checkpoint["state"][0].keys() == {"momentum_buffer"}


def with_nan(saved: Any) -> None:
    saved["state"][0]["master"][0, 0] = torch.nan


def of_another_size(saved: Any) -> None:
    saved["state"][0]["master"] = torch.zeros(4, 6)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [(with_nan, "`master` holds infinities or NaN"), (of_another_size, r"`master` should be \[6, 4\] but is \[4, 6\]")],
)
def test_masters_that_are_none_are_refused(change: Callable[[Any], None], complaint: str) -> None:
    optimizer, _ = with_masters(AVERAGE)
    saved = copy.deepcopy(optimizer.state_dict())
    change(saved)
    with pytest.raises(muondsl.ConversionError, match=complaint):
        muondsl.convert(saved, AVERAGE, SUM)


def test_ascent_stays_ascent_or_is_refused() -> None:
    optimizer, _ = stepped(AVERAGE, maximize=True)
    saved = optimizer.state_dict()
    assert muondsl.convert(saved, AVERAGE, SUM).checkpoint["param_groups"][0]["maximize"] is True
    with pytest.raises(muondsl.ConversionError, match=r"its states are those of ascent, and torch.optim.Muon descends"):
        muondsl.convert(saved, AVERAGE, "torch.optim.Muon")
