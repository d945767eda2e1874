"""Units are learnt from what a program does to a state, whatever its rule and its state are called."""

from __future__ import annotations

import pytest

from muondsl.conversion.checkpoint import HyperValues
from muondsl.conversion.meaning import read_meaning
from muondsl.conversion.program_to_unit import program_to_unit, reads_step
from muondsl.conversion.unit import Unit

HYPERS: HyperValues = {"lr": 0.1, "mu": 0.9, "weight_decay": 0.25}


def unit(momentum: str, state: str = "momentum_buffer", step: int = 7, rules: str = "") -> Unit | None:
    spec = f"optimizer Example\nhyper lr = 0.1\nhyper mu = 0.9\nhyper weight_decay = 0.25\n{momentum}\n"
    spec += "decay decoupled(weight_decay + mu)\n" + rules
    return program_to_unit(read_meaning(spec).programs["matrix"], state, HYPERS, step)


@pytest.mark.parametrize(
    ("momentum", "keep", "take"),
    [
        ("momentum ema(beta = mu)", 0.9, 0.1),
        ("momentum nesterov(beta = mu)", 0.9, 0.1),
        ("momentum nesterov_ema(beta = mu)", 0.9, 0.1),
        ("momentum corrected_nesterov(beta = mu)", 0.9, 0.1),
        ("momentum heavy_ball(beta = mu)", 0.9, 1.0),
        ("momentum nesterov_heavy_ball(beta = mu)", 0.9, 1.0),
        ("momentum double_average(beta1 = 0.5, beta2 = mu)", 0.9, 0.1),
        ("momentum affine(keep = mu, take_in = 0.3, of_gradient = 0, of_momentum = 1)", 0.9, 0.3),
        ("momentum affine(keep = 1 - mu, take_in = mu, of_gradient = 0, of_momentum = 1)", 0.1, 0.9),
    ],
)
def test_a_linear_momentum_has_the_unit_of_its_recurrence(momentum: str, keep: float, take: float) -> None:
    found = unit(momentum)
    assert found is not None
    assert (found.keep, found.take, found.pull) == pytest.approx((keep, take, 0.0), abs=1e-15)
    assert found.is_average == (keep + take == pytest.approx(1))
    assert found.is_sum == (take == 1)


def test_a_rule_and_a_state_of_any_name_are_understood() -> None:
    rules = """
rule velocity_of_water(stickiness) {
  state drops = zeros
  drops  <- update + drops * stickiness
  update <- drops
}
"""
    found = unit("momentum velocity_of_water(stickiness = mu)", "drops", rules=rules)
    assert found is not None
    assert (found.keep, found.take, found.is_sum) == (pytest.approx(0.9), 1.0, True)


def test_coupled_decay_pulls_at_the_momentum() -> None:
    found = unit("gradient coupled(weight_decay)\nmomentum heavy_ball(beta = mu)")
    assert found is not None
    assert (found.keep, found.take, found.pull) == pytest.approx((0.9, 1.0, 0.25))


def test_a_schedule_is_a_unit_of_its_step() -> None:
    momentum = "let current = lerp(0.5, mu, min(step / 10, 1))\nmomentum ema(beta = current)"
    units = [unit(momentum, step=step) for step in (5, 10)]
    assert all(each is not None and each.depends_on_step for each in units)
    assert [each.keep for each in units if each] == pytest.approx([0.7, 0.9])


@pytest.mark.parametrize(
    "momentum",
    [
        "momentum { state m = zeros\n m <- lerp(m, update*update, 0.1)\n update <- m }",
        "momentum { state m = zeros\n m <- m + sign(update)\n update <- m }",
        "momentum { state m = zeros\n m <- max(m, update)\n update <- m }",
        "momentum { state m = zeros\n m <- 0.9*m + update / norm(update)\n update <- m }",
        "momentum { state m = zeros\n m <- 0.9*m + update + 1\n update <- m }",
        "momentum { state m = zeros\n m <- 0.9*m + mean(update, over = rows) + 0*update\n update <- m }",
        "momentum { state m[rows, 1] = zeros\n m <- 0.9*m + mean(update, over = cols)\n update <- update + m }",
        "momentum { state m = zeros\n state n = zeros\n n <- n + update\n m <- 0.9*m + update + n\n update <- m }",
    ],
)
def test_what_is_not_linear_in_the_gradient_has_no_unit(momentum: str) -> None:
    assert unit(momentum, "m") is None


def test_bias_correction_reads_steps_but_not_in_the_state() -> None:
    text = "optimizer Example\nhyper lr = 0.1\nmomentum {body}\n"
    corrected = read_meaning(text.format(body="corrected_ema(beta = 0.9)"))
    scheduled = read_meaning(text.format(body="ema(beta = min(0.9, step / 10))"))
    for meaning, expected in ((corrected, False), (scheduled, True)):
        assert meaning.counts_steps("matrix")
        assert reads_step(meaning.programs["matrix"], meaning.states("matrix")) == expected
