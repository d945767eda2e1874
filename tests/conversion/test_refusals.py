"""What cannot be right is refused, with all that is wrong at once and a way on where there is one."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch.nn import Parameter

import muondsl
from tests.conversion.runs import (
    ADAM,
    AVERAGE,
    SUM,
    advance,
    loaded,
    new_parameters,
    spec,
    states,
    trained,
)

Saved = dict[str, Any]
NORMED = spec("Normed", "nesterov(beta = momentum)", adapt="normuon(beta2 = 0.95)")
WITH_ADAM = spec("WithAdam", "nesterov(beta = momentum)", otherwise=ADAM)
WARM = spec("Warm", "nesterov(beta = lerp(0.5, momentum, min(step / 10, 1)))")


def refused(saved: Any, source: str, target: str, complaint: str, **options: Any) -> muondsl.ConversionError:
    with pytest.raises(muondsl.ConversionError, match=complaint) as caught:
        muondsl.convert(saved, source, target, **options)
    return caught.value


def torch_muon(**hypers: Any) -> Saved:
    optimizer, _ = trained(torch.optim.Muon, **hypers)
    saved: Saved = copy.deepcopy(optimizer.state_dict())
    return saved


def of(text: str, **hypers: Any) -> Saved:
    optimizer, _ = trained(loaded(text), **hypers)
    saved: Saved = copy.deepcopy(optimizer.state_dict())
    return saved


# Files that are not what they are said to be


def without_nesterov(saved: Saved) -> None:
    del saved["param_groups"][0]["nesterov"]


def with_a_state_of_adam(saved: Saved) -> None:
    saved["state"][1]["exp_avg"] = torch.zeros(4, 6)


def without_momentum_buffer(saved: Saved) -> None:
    saved["state"][1] = {"momentum": torch.zeros(4, 6)}


def with_a_vector(saved: Saved) -> None:
    saved["state"][1]["momentum_buffer"] = torch.zeros(4)


def with_nan(saved: Saved) -> None:
    saved["state"][1]["momentum_buffer"][0, 0] = float("nan")


def with_whole_numbers(saved: Saved) -> None:
    saved["state"][1]["momentum_buffer"] = torch.zeros(4, 6, dtype=torch.int64)


def with_a_number_for_a_state(saved: Saved) -> None:
    saved["state"][1]["momentum_buffer"] = 0.5


def with_a_parameter_twice(saved: Saved) -> None:
    saved["param_groups"].append(saved["param_groups"][0])


def with_states_of_nobody(saved: Saved) -> None:
    saved["state"][7] = {"momentum_buffer": torch.zeros(2, 2)}


def with_a_name_twice(saved: Saved) -> None:
    saved["param_groups"][0]["param_names"] = ["a", "b", "a"]


def with_too_few_names(saved: Saved) -> None:
    saved["param_groups"][0]["param_names"] = ["a"]


def without_groups(saved: Saved) -> None:
    saved["param_groups"] = {}


def of_another_route(saved: Saved) -> None:
    saved["param_groups"][0]["route"] = "otherwise"


def inside_another(saved: Saved) -> None:
    inner = dict(saved)
    saved.clear()
    saved.update(model={}, optimizer=inner)


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (without_nesterov, "group 0: it has no `nesterov`, as the groups of torch.optim.Muon have"),
        (
            with_a_state_of_adam,
            "parameter 1: Muon keeps momentum_buffer, but the checkpoint has exp_avg, momentum_buffer",
        ),
        (without_momentum_buffer, "parameter 1: Muon keeps momentum_buffer, but the checkpoint has momentum"),
        (with_a_vector, r"parameter 1: it is of \[4\], and matrices of torch.optim.Muon have two dimensions"),
        (with_nan, "parameter 1: `momentum_buffer` holds infinities or NaN"),
        (with_whole_numbers, "parameter 1: `momentum_buffer` holds torch.int64"),
        (with_a_number_for_a_state, "parameter 1: `momentum_buffer` is no plain tensor but float"),
        (with_a_parameter_twice, "parameter 0 is in its groups 2 times"),
        (with_states_of_nobody, "it has states of 7, which is in none of its groups"),
        (with_a_name_twice, "2 parameters are called a"),
        (with_too_few_names, "group 0: it has 3 parameters, but 1 names"),
        (without_groups, "its `param_groups` are no list"),
        (of_another_route, "its route is 'otherwise': a generated class wrote it"),
        (
            inside_another,
            r"no state_dict of an optimizer of torch\n  help: its entry 'optimizer' is one: `--entry optimizer`",
        ),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_what_is_no_checkpoint_of_torch_muon_is_refused(spoil: Any, complaint: str) -> None:
    saved = torch_muon()
    spoil(saved)
    refused(saved, "torch.optim.Muon", AVERAGE, complaint)


@pytest.mark.parametrize("saved", [None, 3, [], {}, {"state": {}}, {"state": {}, "param_groups": [1]}])
def test_what_is_no_checkpoint_at_all_is_refused(saved: Any) -> None:
    for source in ("torch.optim.Muon", "keras.optimizers.Muon", "nanochat.MuonAdamW", AVERAGE):
        refused(saved, source, SUM, "^the checkpoint: it")


def test_a_checkpoint_of_another_spec_is_refused() -> None:
    saved = of(AVERAGE)
    refused(saved, SUM, AVERAGE, f"another spec wrote it: its fingerprint is {loaded(AVERAGE).fingerprint}")
    for group in saved["param_groups"]:
        del group["fingerprint"]
    refused(saved, AVERAGE, SUM, "it has no fingerprint")


def test_a_spec_with_errors_is_shown_with_its_errors() -> None:
    with pytest.raises(muondsl.SpecError, match="M0203"):
        muondsl.convert(torch_muon(), "torch.optim.Muon", "optimizer Bad\nhyper lr = 1\nmomentum emma(0.9)\n")


def test_all_that_is_wrong_is_said_at_once() -> None:
    saved = torch_muon()
    with_nan(saved)
    saved["state"][2]["momentum_buffer"] = torch.zeros(5, dtype=torch.int64)
    error = refused(saved, "torch.optim.Muon", AVERAGE, "parameter 1(.|\n)*parameter 2")
    assert [finding.place for finding in error.findings] == ["parameter 1", "parameter 2"]


# States that are not the target's


def test_a_state_without_a_counterpart_is_lost_on_demand_alone() -> None:
    refused(of(NORMED), NORMED, AVERAGE, "no counterpart of the state `second_momentum_buffer`\n  help: `--drop second")


def test_a_state_that_is_missing_begins_anew_on_demand_alone() -> None:
    refused(of(AVERAGE), AVERAGE, NORMED, "keeps a state `second_momentum_buffer`, which the checkpoint does not hold")


def test_parameters_of_a_route_that_the_target_lacks_are_lost_on_demand_alone() -> None:
    parameters = new_parameters([(4, 3), (4,)])
    groups = [{"params": parameters[:1], "route": "matrix"}, {"params": parameters[1:], "route": "otherwise"}]
    optimizer = loaded(WITH_ADAM)(groups)
    advance(optimizer, parameters, range(2))
    complaint = r"group 1 \(otherwise\): torch.optim.Muon takes no parameters of this route\n  help: `--drop otherwise`"
    refused(optimizer.state_dict(), WITH_ADAM, "torch.optim.Muon", complaint)


def test_a_factor_is_refused_where_momentum_changed() -> None:
    complaint = (
        r"`momentum_buffer`: it is scheduled by `step`, and changed while it was filled(.|\n)*`--momentum VALUE`"
    )
    refused(of(WARM), WARM, spec("WarmSum", "heavy_ball(beta = lerp(0.5, momentum, min(step / 10, 1)))"), complaint)


def test_a_factor_is_refused_where_a_scheduler_of_torch_changed_momentum() -> None:
    parameters = new_parameters()
    optimizer = torch.optim.Muon(parameters, lr=0.1)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=10)
    for step in range(3):
        advance(optimizer, parameters, [step])
        scheduler.step()
    saved = optimizer.state_dict()
    refused(saved, "torch.optim.Muon", SUM, "training changed `momentum` while it was filled")
    # An average needs no factor, and goes on under the same schedule.
    found = muondsl.convert(saved, "torch.optim.Muon", AVERAGE).checkpoint
    assert all(torch.equal(one, other) for one, other in zip(states(found), states(saved), strict=True))
    assert found["param_groups"][0]["max_momentum"] == saved["param_groups"][0]["max_momentum"]


def test_momentum_that_is_kept_at_another_rate_is_another() -> None:
    slower = spec("Slower", "ema(beta = momentum + 0.04)")
    complaint = r"is m ← 0.95·m \+ 0.05·g \(an average\), the target's is m ← 0.99·m \+ 0.01·g \(an average\)"
    refused(torch_muon(), "torch.optim.Muon", slower, complaint)
    # What holds on the user's word is how the buffer was filled, not how the target goes on.
    refused(torch_muon(), "torch.optim.Muon", slower, complaint, momentum=0.95)


def test_a_factor_that_depends_on_the_shape_is_none() -> None:
    by_rows = "affine(keep = momentum, take_in = 1 / rows, of_gradient = 1, of_momentum = momentum)"
    refused(torch_muon(), "torch.optim.Muon", spec("ByRows", by_rows), "depends on the shape of the parameter")


def test_a_state_that_begins_as_a_gradient_cannot_begin_in_the_middle() -> None:
    momentum = (
        "{ state momentum_buffer = zeros\n state before = gradient\n"
        " momentum_buffer <- lerp(momentum_buffer, update, 1 - momentum)\n"
        " update <- momentum_buffer + 0.1*(gradient - before)\n before <- gradient }"
    )
    complaint = "`before` begins as the first gradient, and so cannot begin anew beside states that do not"
    refused(torch_muon(), "torch.optim.Muon", spec("Remembering", momentum), complaint, fresh=["before"])


def test_a_state_of_a_shape_that_nothing_tells_cannot_begin_anew() -> None:
    power = "{ state power[rows, 1] = ones\n power <- lerp(power, mean(gradient * gradient, over = cols), 0.1)\n"
    power += " update <- update / sqrt(power) }"
    source = spec("PowerAlone", "{ update <- momentum * update }", adapt=power)
    target = spec("PowerBehind", "nesterov(beta = momentum)", adapt=power)
    refused(of(source), source, target, "no state says what shape it has", fresh=["momentum_buffer"])
    muondsl.convert(of(target), target, source, drop=["momentum_buffer"])


def test_a_hyper_of_one_name_and_two_meanings_is_noticed() -> None:
    turned = spec("Turned", "ema(beta = 1 - momentum)")
    refused(torch_muon(), "torch.optim.Muon", turned, r"0.05·m \+ 0.95·g")
    found = muondsl.convert(torch_muon(), "torch.optim.Muon", turned, hypers={"momentum": 1 - 0.95}).checkpoint
    assert all(torch.equal(one, other) for one, other in zip(states(found), states(torch_muon()), strict=True))


@pytest.mark.parametrize(
    "momentum",
    [
        "{ state momentum_buffer = zeros\n momentum_buffer <- lerp(momentum_buffer, sign(update), 1 - momentum)\n"
        " update <- momentum_buffer }",
        "{ state momentum_buffer = zeros\n momentum_buffer <- lerp(momentum_buffer, update * update, 1 - momentum)\n"
        " update <- momentum_buffer }",
        "{ state momentum_buffer = gradient\n momentum_buffer <- lerp(momentum_buffer, update, 1 - momentum)\n"
        " update <- momentum_buffer }",
    ],
    ids=["of signs", "of squares", "from the first gradient"],
)
def test_a_momentum_of_something_else_is_another(momentum: str) -> None:
    refused(torch_muon(), "torch.optim.Muon", spec("Other", momentum), "`momentum_buffer`: it (is not|begins)")


def test_decay_that_the_momentum_has_taken_in_cannot_be_taken_out() -> None:
    coupled = AVERAGE.replace("momentum      nesterov", "gradient coupled(weight_decay)\nmomentum nesterov")
    refused(torch_muon(), "torch.optim.Muon", coupled, "takes in of the parameter itself, beside the gradient")


def test_a_sum_too_large_for_its_format_is_refused() -> None:
    saved = torch_muon(momentum=0.999)
    for state in saved["state"].values():
        state["momentum_buffer"] = torch.full_like(state["momentum_buffer"], 100, dtype=torch.float16)
    refused(
        saved, "torch.optim.Muon", SUM, r"`momentum_buffer` × 1000 = 1/\(1 − 0.999\) is too large for torch.float16"
    )


def test_momentum_of_one_fills_no_average() -> None:
    saved = torch_muon(momentum=1.0)
    endless = spec("Endless", "heavy_ball(beta = 2*momentum)")
    refused(saved, "torch.optim.Muon", endless, "takes nothing of the gradient in", hypers={"momentum": 0.5})
    refused(saved, "torch.optim.Muon", SUM, r"momentum should be in \[0, 1\) but is: 1.0")


def test_states_of_counted_steps_begin_anew_together_or_not_at_all() -> None:
    parameter = Parameter(torch.zeros(3))
    optimizer = loaded(WITH_ADAM)([{"params": [parameter], "route": "otherwise"}])
    parameter.grad = torch.ones(3)
    optimizer.step()
    complaint = "`exp_avg_sq` cannot begin anew alone: WithAdam counts the steps"
    refused(optimizer.state_dict(), WITH_ADAM, WITH_ADAM, complaint, fresh=["exp_avg_sq"])


def test_steps_that_nobody_counted_must_be_said() -> None:
    saved = torch_muon()
    corrected = spec("Corrected", "corrected_ema(beta = momentum)")
    refused(
        saved, "torch.optim.Muon", corrected, "Corrected counts steps, and the checkpoint does not\n  help: `--step N`"
    )
    found = muondsl.convert(saved, "torch.optim.Muon", corrected, step=4).checkpoint
    expected, _ = trained(loaded(corrected))
    for one, other in zip(states(found), states(expected.state_dict()), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-13, atol=1e-15)
    assert [float(each) for each in states(found, "step")] == [4, 4, 4]


# Options


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"drop": ["momentum_bufer"]}, "--drop: there is no `momentum_bufer`\n  help: did you mean `momentum_buffer`"),
        ({"fresh": ["exp_avg"]}, "--fresh: there is no `exp_avg`\n  help: there are matrix, momentum_buffer"),
        ({"as_is": ["matrix"]}, "--as-is: there is no `matrix`"),
        ({"hypers": {"rl": 1.0}}, "--hyper: there is no `rl`"),
        ({"momentum": 1.0}, r"--momentum: it should be in \[0, 1\) but is 1"),
        ({"step": 0}, "--step: it should be 1 at least but is 0"),
        ({"hypers": {"lr": "fast"}}, "lr should be in .* but is: fast"),
        ({"hypers": {"lr": -1.0}}, "lr should be in .* but is: -1.0"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(options: dict[str, Any], complaint: str) -> None:
    refused(torch_muon(), "torch.optim.Muon", AVERAGE, complaint, **options)


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("torch.optim.Moun", "did you mean `torch.optim.Muon`"),
        ("specs/moonlight", "neither a spec"),
        ("nanochat:older", "neither a spec"),
    ],
)
def test_a_system_that_nobody_knows_is_refused(name: str, complaint: str) -> None:
    refused(torch_muon(), name, AVERAGE, complaint)
    refused(torch_muon(), "torch.optim.Muon", name, complaint)
