"""Groups, routes and states beside the momentum: what goes along, what begins anew, and what is left behind."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import Parameter

import muondsl
from tests.conversion.runs import ADAM, AVERAGE, advance, copies, loaded, new_parameters, spec, states

AVERAGE_ADAM = spec("AverageAdam", "nesterov(beta = momentum)", otherwise=ADAM)
SUM_ADAM = spec("SumAdam", "nesterov_heavy_ball(beta = momentum)", otherwise=ADAM)
OTHER_ADAM = spec("OtherAdam", "nesterov(beta = momentum)", otherwise=ADAM.replace("0.9,", "0.8,"))
NORMED = spec("Normed", "nesterov(beta = momentum)", adapt="normuon(beta2 = 0.95)")
NORMED_SUM = spec("NormedSum", "nesterov_heavy_ball(beta = momentum)", adapt="normuon(beta2 = 0.95)")
NORMED_SLOWER = spec("NormedSlower", "nesterov(beta = momentum)", adapt="normuon(beta2 = 0.99)")

SUMMING_ADAM = """{
  state exp_avg = zeros
  state exp_avg_sq = zeros
  exp_avg    <- 0.9*exp_avg + update
  exp_avg_sq <- lerp(exp_avg_sq, update * update, 1 - 0.95)
  update     <- exp_avg / (sqrt(exp_avg_sq) + 1e-8) / (1 - 0.9**step)
}"""


def new(kind: Any, parameters: list[Parameter]) -> Any:
    """Two matrices, and a vector and a parameter that never gets a gradient."""
    groups = [{"params": parameters[:2], "route": "matrix", "lr": 0.01}]
    groups += [{"params": parameters[2:], "route": "otherwise", "lr": 0.001, "initial_lr": 0.002}]
    return kind(groups)


def routed(text: str, steps: int = 5) -> tuple[Any, list[Parameter]]:
    parameters = new_parameters([(4, 3), (3, 4), (4,), (2,)])
    optimizer = new(loaded(text), parameters)
    advance(optimizer, parameters[:3], range(steps))
    return optimizer, parameters


def test_a_run_with_both_routes_goes_on_as_the_target() -> None:
    ours, parameters = routed(AVERAGE_ADAM)
    theirs, others = routed(SUM_ADAM)
    found = muondsl.convert(ours.state_dict(), AVERAGE_ADAM, SUM_ADAM)
    resumed = new(loaded(SUM_ADAM), copies(parameters))
    resumed.load_state_dict(found.checkpoint)
    own = [each for group in resumed.param_groups for each in group["params"]]
    advance(resumed, own[:3], range(5, 9))
    advance(theirs, others[:3], range(5, 9))
    for mine, expected in zip(own, others, strict=True):
        torch.testing.assert_close(mine, expected, rtol=1e-11, atol=1e-11)
    assert resumed.param_groups[1]["initial_lr"] == 0.002
    assert "2 → 2 [4]: exp_avg, exp_avg_sq as they were; step 5" in str(found.report)
    assert "3 → 3: no states yet" in str(found.report)


def test_a_second_moment_of_the_update_is_the_same_behind_sums_and_averages() -> None:
    """An orthogonalizer takes the unit of the momentum away, so what comes behind it is not multiplied."""
    parameters = new_parameters()
    ours, theirs = loaded(NORMED)(parameters), loaded(NORMED_SUM)(others := copies(parameters))
    advance(ours, parameters, range(4))
    advance(theirs, others, range(4))
    found = muondsl.convert(ours.state_dict(), NORMED, NORMED_SUM).checkpoint
    for name, tolerance in (("momentum_buffer", 1e-13), ("second_momentum_buffer", 1e-6)):
        for mine, expected in zip(states(found, name), states(theirs.state_dict(), name), strict=True):
            torch.testing.assert_close(mine, expected, rtol=tolerance, atol=tolerance)
    name = "second_momentum_buffer"
    for mine, before in zip(states(found, name), states(ours.state_dict(), name), strict=True):
        assert torch.equal(mine, before)


def test_groups_of_a_route_can_be_left_behind_and_parameters_are_numbered_anew() -> None:
    parameters = new_parameters([(4,), (4, 3)])
    groups = [{"params": parameters[:1], "route": "otherwise"}, {"params": parameters[1:], "route": "matrix"}]
    optimizer = loaded(AVERAGE_ADAM)(groups)
    advance(optimizer, parameters, range(2))
    found = muondsl.convert(optimizer.state_dict(), AVERAGE_ADAM, "torch.optim.Muon", drop=["otherwise"])
    target = torch.optim.Muon(copies(parameters[1:]))
    target.load_state_dict(found.checkpoint)
    (member,) = target.param_groups[0]["params"]
    assert torch.equal(target.state[member]["momentum_buffer"], optimizer.state[parameters[1]]["momentum_buffer"])
    assert "group 0, otherwise, 1 parameter: left behind" in str(found.report)
    assert "1 → 0 [4, 3]: momentum_buffer as it was" in str(found.report)


def test_a_state_that_is_dropped_is_gone_and_said_to_be() -> None:
    optimizer = loaded(NORMED)(parameters := new_parameters())
    advance(optimizer, parameters, range(2))
    found = muondsl.convert(optimizer.state_dict(), NORMED, AVERAGE, drop=["second_momentum_buffer"])
    loaded(AVERAGE)(copies(parameters)).load_state_dict(found.checkpoint)
    assert str(found.report).count("second_momentum_buffer left behind") == len(parameters)


def test_a_state_that_begins_anew_is_that_of_a_new_optimizer() -> None:
    optimizer = loaded(AVERAGE)(parameters := new_parameters())
    advance(optimizer, parameters, range(2))
    found = muondsl.convert(optimizer.state_dict(), AVERAGE, NORMED, fresh=["second_momentum_buffer"])
    target = loaded(NORMED)(copies(parameters))
    target.load_state_dict(found.checkpoint)
    for parameter, sizes in zip(target.param_groups[0]["params"], ((6, 1), (1, 6), (5, 1)), strict=True):
        state = target.state[parameter]["second_momentum_buffer"]
        assert state.dtype == torch.float32
        assert torch.equal(state, torch.zeros(sizes))
    assert str(found.report).count("second_momentum_buffer begins anew") == len(parameters)


def test_a_route_that_begins_anew_has_no_states_as_before_its_first_step() -> None:
    optimizer, parameters = routed(AVERAGE_ADAM)
    found = muondsl.convert(optimizer.state_dict(), AVERAGE_ADAM, OTHER_ADAM, fresh=["otherwise"])
    assert sorted(found.checkpoint["state"]) == [0, 1]
    new(loaded(OTHER_ADAM), copies(parameters)).load_state_dict(found.checkpoint)
    assert "2 → 2 [4]: exp_avg begins anew; exp_avg_sq begins anew" in str(found.report)


def test_a_given_momentum_is_not_that_of_adam() -> None:
    """Its averages are compared as ever: what is given of the momentum says nothing of them."""
    optimizer, _ = routed(AVERAGE_ADAM)
    saved = optimizer.state_dict()
    found = muondsl.convert(saved, AVERAGE_ADAM, SUM_ADAM, momentum=0.95)
    assert torch.equal(found.checkpoint["state"][2]["exp_avg"], saved["state"][2]["exp_avg"])
    summing = spec("Summing", "nesterov(beta = momentum)", otherwise=SUMMING_ADAM)
    found = muondsl.convert(saved, AVERAGE_ADAM, summing, momentum=0.95)
    torch.testing.assert_close(found.checkpoint["state"][2]["exp_avg"], 10 * saved["state"][2]["exp_avg"])


def test_a_state_is_taken_over_as_it_is_on_demand() -> None:
    optimizer, _ = routed(AVERAGE_ADAM)
    saved = optimizer.state_dict()
    found = muondsl.convert(saved, AVERAGE_ADAM, OTHER_ADAM, as_is=["exp_avg"])
    assert torch.equal(found.checkpoint["state"][2]["exp_avg"], saved["state"][2]["exp_avg"])
    assert "exp_avg (on your word)" in str(found.report)


def test_a_second_moment_of_another_horizon_is_another() -> None:
    optimizer = loaded(NORMED)(parameters := new_parameters())
    advance(optimizer, parameters, range(2))
    with pytest.raises(muondsl.ConversionError, match="`second_momentum_buffer`: it is not what the checkpoint holds"):
        muondsl.convert(optimizer.state_dict(), NORMED, NORMED_SLOWER)


@pytest.mark.parametrize("text", [SUM_ADAM, NORMED])
def test_to_the_same_spec_everything_stays(text: str) -> None:
    if text is SUM_ADAM:
        optimizer, _ = routed(text)
    else:
        optimizer = loaded(text)(parameters := new_parameters())
        advance(optimizer, parameters, range(3))
    saved = optimizer.state_dict()
    found = muondsl.convert(saved, text, text).checkpoint
    assert found["param_groups"] == saved["param_groups"]
    assert found["state"].keys() == saved["state"].keys()
    for number, state in found["state"].items():
        assert state.keys() == saved["state"][number].keys()
        assert [each.dtype for each in state.values()] == [each.dtype for each in saved["state"][number].values()]
        assert all(torch.equal(value, saved["state"][number][name]) for name, value in state.items())
