"""A converted run goes on as the target would have gone itself: momentum of the right size, in the right place."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import Parameter

import muondsl
from tests.conversion.runs import (
    AVERAGE,
    SMALLEST,
    SUM,
    advance,
    copies,
    gradient,
    loaded,
    new_parameters,
    spec,
    states,
    trained,
)


def loaded_with(kind: Any, saved: dict[str, Any], parameters: list[Parameter], **hypers: Any) -> Any:
    """A new optimizer on copies of the parameters that has loaded the checkpoint."""
    optimizer = kind(copies(parameters), **hypers)
    optimizer.load_state_dict(saved)
    return optimizer


def parameters_of(optimizer: Any) -> list[Parameter]:
    return [each for group in optimizer.param_groups for each in group["params"]]


def assert_near(found: list[Tensor], expected: list[Tensor], tolerance: float) -> None:
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance * float(other.detach().abs().max()))


# Units


@pytest.mark.parametrize("momentum", [0.5, 0.9, 0.95, 0.99])
@pytest.mark.parametrize(("source", "target"), [(AVERAGE, SUM), (SUM, AVERAGE)])
def test_the_momentum_is_that_of_a_run_of_the_target_from_the_start(source: str, target: str, momentum: float) -> None:
    ours, parameters = trained(loaded(source), momentum=momentum)
    theirs, _ = trained(loaded(target), momentum=momentum)
    found = muondsl.convert(ours.state_dict(), source, target).checkpoint
    assert_near(states(found), states(theirs.state_dict()), 8 * SMALLEST / (1 - momentum))
    resumed = loaded_with(loaded(target), found, parameters)
    for optimizer, own in ((resumed, parameters_of(resumed)), (theirs, parameters_of(theirs))):
        advance(optimizer, own, range(4, 8))
    # Steps are the same for sums and averages, so that both runs are one in their parameters, too.
    assert_near(states(resumed.state_dict()), states(theirs.state_dict()), 1e-13)
    assert_near(parameters_of(resumed), parameters_of(theirs), 1e-11)


def test_a_sum_is_the_average_divided_by_one_minus_momentum() -> None:
    ours, _ = trained(loaded(AVERAGE), momentum=0.9)
    saved = ours.state_dict()
    found = muondsl.convert(saved, AVERAGE, SUM).checkpoint
    expected = [value / (1 - 0.9) for value in states(saved)]
    assert_near(states(found), expected, 4 * SMALLEST)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_there_and_back_is_within_a_rounding_each_way(dtype: torch.dtype) -> None:
    optimizer, _ = trained(torch.optim.Muon, dtype=dtype)
    saved = optimizer.state_dict()
    there = muondsl.convert(saved, "torch.optim.Muon", SUM).checkpoint
    back = muondsl.convert(there, SUM, "torch.optim.Muon").checkpoint
    eps = torch.finfo(dtype).eps
    for found, summed, expected in zip(states(back), states(there), states(saved), strict=True):
        assert summed.dtype == found.dtype == dtype
        assert torch.equal(summed, (expected.double() / (1 - 0.95)).to(dtype))
        torch.testing.assert_close(found, expected, rtol=eps, atol=0)


def test_each_group_has_the_factor_of_its_own_momentum() -> None:
    one, two = new_parameters([(3, 4), (4, 3)])
    groups = [{"params": [one], "momentum": 0.9}, {"params": [two], "momentum": 0.98}]
    optimizer = loaded(AVERAGE)(groups)
    advance(optimizer, [one, two], range(3))
    saved = optimizer.state_dict()
    found = muondsl.convert(saved, AVERAGE, SUM).checkpoint
    for each, before, factor in zip(states(found), states(saved), (10, 50), strict=True):
        torch.testing.assert_close(each, factor * before, rtol=1e-13, atol=0)
    assert [group["momentum"] for group in found["param_groups"]] == [0.9, 0.98]


def test_any_two_recurrences_that_keep_the_same_are_multiples() -> None:
    form = "affine(keep = momentum, take_in = {}, of_gradient = 1, of_momentum = momentum)"
    source, target = (
        spec(name, form.format(taken)) for name, taken in (("Third", "0.3"), ("Quarter", "(1 - momentum) / 4"))
    )
    ours, _ = trained(loaded(source))
    theirs, _ = trained(loaded(target))
    found = muondsl.convert(ours.state_dict(), source, target)
    assert_near(states(found.checkpoint), states(theirs.state_dict()), 32 * SMALLEST)
    assert "× 0.0416667 = 0.0125/0.3" in str(found.report)


def test_a_schedule_that_both_have_is_carried_at_any_step() -> None:
    text = "let current = lerp(0.85, momentum, min(step / 300, 1))\n"
    source, target = (
        spec(name, f"{rule}(beta = current)") + text for name, rule in (("Warm", "nesterov"), ("WarmPlain", "ema"))
    )
    ours, _ = trained(loaded(source))
    theirs, _ = trained(loaded(target))
    found = muondsl.convert(ours.state_dict(), source, target).checkpoint
    assert_near(states(found), states(theirs.state_dict()), 8 * SMALLEST)
    assert [int(each) for each in states(found, "step")] == [4, 4, 4]


def test_a_momentum_that_is_given_stands_for_one_that_changed() -> None:
    source = spec("Warm", "nesterov(beta = min(momentum, step / 2))")
    ours, _ = trained(loaded(source), momentum=0.9)
    saved = ours.state_dict()
    found = muondsl.convert(saved, source, SUM, momentum=0.9)
    assert_near(states(found.checkpoint), [10 * each for each in states(saved)], 8 * SMALLEST)
    assert "(on your word) × 10 = 1/(1 − 0.9)" in str(found.report)


def test_the_past_may_have_had_one_momentum_and_the_future_another() -> None:
    """At step 4 of its warm-up the source keeps 0.7, which the target does not; it goes on with what was given."""
    source = spec("Warm", "nesterov(beta = lerp(0.5, momentum, min(step / 9, 1)))")
    ours, _ = trained(loaded(source), momentum=0.95)
    saved = ours.state_dict()
    found = muondsl.convert(saved, source, SUM, momentum=0.8, hypers={"momentum": 0.8}).checkpoint
    assert_near(states(found), [5 * each for each in states(saved)], 8 * SMALLEST)
    assert found["param_groups"][0]["momentum"] == 0.8


def test_a_state_with_another_name_is_found_by_what_it_is() -> None:
    momentum = "{ state velocity = zeros\n velocity <- momentum*velocity + update\n update <- velocity }"
    source = spec("Named", momentum)
    ours, _ = trained(loaded(source))
    theirs, _ = trained(loaded(AVERAGE))
    found = muondsl.convert(ours.state_dict(), source, AVERAGE)
    assert_near(states(found.checkpoint), states(theirs.state_dict()), 16 * SMALLEST)
    assert "momentum_buffer ← velocity × 0.05 = 1 − 0.95" in str(found.report)


# torch.optim.Muon


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_torch_muon_continues_as_the_generated_class_bit_for_bit(dtype: torch.dtype) -> None:
    """On the CPU, `faithful` computes what torch.optim.Muon does, bit for bit, in both directions."""
    kind = muondsl.load("specs/torch_muon.muon", numerics="faithful")
    for source, target, names in (
        (torch.optim.Muon, kind, ("torch.optim.Muon", "specs/torch_muon.muon")),
        (kind, torch.optim.Muon, ("specs/torch_muon.muon", "torch.optim.Muon")),
    ):
        optimizer, parameters = trained(source, dtype=dtype, lr=0.03, momentum=0.9)
        found = muondsl.convert(optimizer.state_dict(), *names).checkpoint
        resumed = loaded_with(target, found, parameters)
        advance(optimizer, parameters, range(4, 7))
        advance(resumed, parameters_of(resumed), range(4, 7))
        for mine, theirs in zip(parameters, parameters_of(resumed), strict=True):
            assert torch.equal(mine, theirs)
            assert torch.equal(optimizer.state[mine]["momentum_buffer"], resumed.state[theirs]["momentum_buffer"])
        assert all(group["lr"] == 0.03 and group["momentum"] == 0.9 for group in resumed.param_groups)


def test_what_the_class_would_save_is_what_is_written() -> None:
    optimizer, parameters = trained(torch.optim.Muon, dtype=torch.float32, lr=0.03)
    found = muondsl.convert(optimizer.state_dict(), "torch.optim.Muon", "specs/torch_muon.muon").checkpoint
    kind = muondsl.load("specs/torch_muon.muon")
    again = loaded_with(kind, found, parameters).state_dict()
    assert again["param_groups"] == found["param_groups"]
    for mine, theirs in zip(states(again), states(found), strict=True):
        assert torch.equal(mine, theirs)


def test_the_group_of_a_spec_that_does_not_know_torch_is_completed_from_a_new_one() -> None:
    optimizer, parameters = trained(loaded(AVERAGE), lr=0.03)
    found = muondsl.convert(optimizer.state_dict(), AVERAGE, "torch.optim.Muon", hypers={"nesterov": False})
    resumed = loaded_with(torch.optim.Muon, found.checkpoint, parameters, lr=1.0)
    expected = {**torch.optim.Muon(parameters).defaults, "lr": 0.03, "nesterov": False}
    assert {name: resumed.param_groups[0][name] for name in expected} == expected
    assert "as given: nesterov False" in str(found.report)
    assert "as in a new group: ns_coefficients (3.4445, -4.775, 2.0315), eps 1e-07" in str(found.report)


def test_names_stay_with_their_parameters() -> None:
    named = [("b.weight", Parameter(gradient(0, (3, 4), 0))), ("a.weight", Parameter(gradient(1, (4, 3), 0)))]
    optimizer = torch.optim.Muon(named)
    advance(optimizer, [each for _, each in named], range(2))
    found = muondsl.convert(optimizer.state_dict(), "torch.optim.Muon", SUM)
    assert found.checkpoint["param_groups"][0]["param_names"] == ["b.weight", "a.weight"]
    assert "0 → 0 b.weight [3, 4]: momentum_buffer × 20 = 1/(1 − 0.95), rounded once to float64" in str(found.report)


# What else is in a checkpoint


def test_what_was_given_is_not_changed_and_not_shared() -> None:
    optimizer, _ = trained(torch.optim.Muon, dtype=torch.float32, lr=torch.tensor(0.5))
    saved = optimizer.state_dict()
    before = copy.deepcopy(saved)
    found = muondsl.convert(saved, "torch.optim.Muon", "specs/torch_muon.muon").checkpoint
    for state in found["state"].values():
        state["momentum_buffer"].zero_()
    for group in found["param_groups"]:
        group["lr"].zero_()
        group.clear()
    assert saved["param_groups"] == before["param_groups"]
    assert all(torch.equal(one, other) for one, other in zip(states(saved), states(before), strict=True))
