"""Averages and sums of updates: the weights that are read off the program are those with which the oracle answers
impulses, and the factor between two rules is the one that their formulas have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from muondsl.compare.isolate import isolate_stages
from muondsl.compare.probe_values import default_hypers
from muondsl.compare.recurrence import Recurrence, recurrence
from muondsl.ir.interpreter import initial_state, interpret
from muondsl.lower import lower
from tests.compare.specs import HEAD, MOMENTUM, checked, compared, found, numbers

if TYPE_CHECKING:
    from collections.abc import Callable

MU = 0.9
RULES = {
    "ema(momentum)": lambda age: (1 - MU) * MU**age,
    "heavy_ball(momentum)": lambda age: MU**age,
    "nesterov(momentum)": lambda age: (1 - MU) * MU ** (age + 1) + (1 - MU) * (age == 0),
    "nesterov_heavy_ball(momentum)": lambda age: MU ** (age + 1) + (age == 0),
    "nesterov_ema(momentum)": lambda age: (1 - MU) * MU**age + (age == 0),
    "swapped_nesterov(momentum)": lambda age: (1 - MU) ** 2 * MU**age + MU * (age == 0),
    "corrected_ema(momentum)": lambda age: (1 - MU) * MU**age,
    "corrected_nesterov(momentum)": lambda age: (1 - MU) * MU ** (age + 1) + (1 - MU) * (age == 0),
    "double_average(momentum, 0.99)": lambda age: 1 - MU if age == 0 else MU * 0.01 * 0.99 ** (age - 1),
}
"""What each holds, late, of the update of `age` steps ago: the closed form of its docstring."""

TWO_BUFFERS = """{
  state fast = zeros
  state slow = zeros
  fast <- lerp(fast, update, 1 - momentum)
  slow <- 0.5*slow + fast
  update <- 2*slow - 0.25*update / (1 + 1 / step)
}"""


def spec(rule: str) -> str:
    return f"{HEAD}{MOMENTUM}momentum {rule}\n"


def linear(rule: str) -> Recurrence:
    chosen = recurrence(isolate_stages(checked(spec(rule)))["momentum"])
    assert chosen is not None
    return chosen


def answered(rule: str, first: int, length: int) -> list[float]:
    """What the oracle's parameter moves by, over the learning rate, when the gradient is one in step `first` alone."""
    program = lower(checked(spec(rule))).matrix
    hypers = default_hypers(checked(spec(rule)))
    parameter, zero = torch.zeros(2, 3, dtype=torch.float64), torch.zeros(2, 3, dtype=torch.float64)
    states = initial_state(program, parameter, zero)
    found = []
    for step in range(first, first + length):
        states = interpret(program, parameter, zero + (step == first), states, hypers, step)
        found.append(-states.pop("parameter")[0, 0].item() / 0.1)
    return found


@pytest.mark.parametrize("first", [1, 4])
@pytest.mark.parametrize("rule", [*RULES, TWO_BUFFERS])
def test_responses_are_those_of_the_oracle(rule: str, first: int) -> None:
    expected = answered(rule, first, 6)
    assert linear(rule).response({"momentum": MU, "lr": 0.1}, first, 6) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("rule", RULES)
def test_weights_are_those_of_the_closed_form(rule: str) -> None:
    weight: Callable[[int], float] = RULES[rule]
    stage = linear(rule)
    expected = [weight(age) for age in range(8)]
    assert stage.weights({"momentum": MU, "lr": 0.1}, 8) == pytest.approx(expected, rel=1e-12)
    total = sum(weight(age) for age in range(4000))
    assert stage.gain({"momentum": MU, "lr": 0.1}) == pytest.approx(total, rel=1e-9)


def test_a_sum_that_grows_for_ever_has_no_gain() -> None:
    assert linear("affine(1, momentum, 0, 1)").gain({"momentum": MU, "lr": 0.1}) is None


FACTORS = {
    ("ema(momentum)", "heavy_ball(momentum)"): (10, "1/(1 − μ)"),
    ("nesterov(momentum)", "nesterov_heavy_ball(momentum)"): (10, "1/(1 − μ)"),
    ("ema(momentum)", "affine(momentum, 1 - momentum, 0, 3)"): (3, None),
    ("ema(momentum)", "affine(momentum, 1 - momentum**2, 0, 1)"): (1.9, "(1 + μ)"),
    ("affine(momentum, momentum, 0, 1)", "heavy_ball(momentum)"): (1 / 0.9, "1/μ"),
}


@pytest.mark.parametrize(("a", "b"), FACTORS)
def test_the_factor_between_two_rules_is_found_with_its_formula(a: str, b: str) -> None:
    value, formula = FACTORS[a, b]
    factor = found(compared(spec(a), spec(b)), "momentum", "weights of the updates").factor
    assert factor is not None
    assert (factor.larger, factor.formula) == ("B", formula)
    assert factor.value == pytest.approx(value, rel=1e-9)
    turned = found(compared(spec(b), spec(a)), "momentum", "weights of the updates").factor
    assert turned == factor.swapped()


UNPROPORTIONAL = {
    "another shape of the weights": ("ema(momentum)", "nesterov(momentum)"),
    "the same only in the end": ("ema(momentum)", "corrected_ema(momentum)"),
    "another factor for other shapes": ("ema(momentum)", "affine(momentum, (1 - momentum) * rows / 384, 0, 1)"),
    "the same but for what the first step finds": (
        "heavy_ball(momentum)",
        "{\n  state m = gradient\n  m <- momentum*m + 2*update\n  update <- m\n}",
    ),
}


@pytest.mark.parametrize("name", UNPROPORTIONAL)
def test_there_is_no_factor_between_rules_that_are_not_proportional(name: str) -> None:
    a, b = UNPROPORTIONAL[name]
    comparison = compared(spec(a), spec(b))
    assert all(each.factor is None for each in comparison.findings)
    assert comparison.findings


DELAYED = """{
  state last1 = zeros
  state last2 = zeros
  state last3 = zeros
  state last4 = zeros
  state last5 = zeros
  state last6 = zeros
  state last7 = zeros
  let result = update + FACTOR * (last6 - last7)
  last7 <- last6
  last6 <- last5
  last5 <- last4
  last4 <- last3
  last3 <- last2
  last2 <- last1
  last1 <- update
  update <- momentum*result
}"""


def test_weights_of_long_ago_that_are_not_shown_are_no_agreement() -> None:
    a, b = (spec(DELAYED.replace("FACTOR", factor)) for factor in ("1", "2"))
    (finding,) = compared(a, b).findings
    assert finding.aspect == "as written"
    assert (finding.b or "").startswith("result ← u + 2 (last6")


WORDS = {
    "ema(momentum)": "a moving average m of the updates that keeps 0.9 a step",
    "nesterov(momentum)": "a moving average m of the updates that keeps 0.9 a step, one step ahead: Nesterov's",
    "nesterov_heavy_ball(momentum)": (
        "a decaying sum m of the updates that keeps 0.9 a step, one step ahead: Nesterov's"
    ),
    "nesterov_ema(momentum)": "a moving average m of the updates that keeps 0.9 a step, added to the update",
    "swapped_nesterov(momentum)": (
        "a moving average m of the updates that keeps 0.9 a step, Nesterov's step with its two weights exchanged"
    ),
    "corrected_ema(momentum)": (
        "a moving average m of the updates that keeps 0.9 a step, without bias from the first step on"
    ),
    "affine(momentum, 2, 0.5, 3)": "a buffer m ← 0.9 m + 2 u; the result is 3 m + 0.5 u",
    TWO_BUFFERS: "a linear recurrence with 2 buffers",
}


@pytest.mark.parametrize("rule", WORDS)
def test_each_kind_has_its_words(rule: str) -> None:
    finding = found(compared(spec("heavy_ball(momentum)"), spec(rule)), "momentum", "what it is")
    assert finding.a == "a decaying sum m of the updates that keeps 0.9 a step"
    assert finding.b == WORDS[rule]


def test_the_first_step_shows_what_is_corrected_for() -> None:
    finding = found(
        compared(spec("ema(momentum)"), spec("corrected_ema(momentum)")), "momentum", "weights of the updates"
    )
    measured = numbers(finding)
    assert measured["all together"] == pytest.approx((1, 1))
    assert measured["first step's, in the first step"] == pytest.approx((0.1, 1))


def test_coupled_decay_is_a_multiple_of_the_parameter() -> None:
    """In the stage `gradient` it is added to the update, in the sum of torch.optim.SGD to what is summed."""
    hyper = "hyper weight_decay = 0.1\n"
    plain = HEAD + "gradient {\n  update <- 1*update\n}\n"
    comparison = compared(plain, HEAD + hyper + "gradient coupled(2*weight_decay)\n")
    finding = found(comparison, "gradient", "the parameter in it")
    assert (finding.a, finding.b) == (None, "2 λ times the parameter is added, in the result")
    summed = HEAD + hyper + "momentum sgd_momentum(0.9, weight_decay)\n"
    finding = found(compared(spec("heavy_ball(0.9)").replace(MOMENTUM, ""), summed), "momentum", "the parameter in it")
    assert finding.b == "λ times the parameter is added, in the average"


def test_a_decay_of_zero_by_default_is_told_all_the_same() -> None:
    plain = HEAD + "gradient {\n  update <- 1*update\n}\n"
    coupled = HEAD + "hyper weight_decay = 0 in [0, inf)\ngradient coupled(weight_decay)\n"
    finding = found(compared(plain, coupled), "gradient", "the parameter in it")
    assert finding.b == "λ times the parameter is added, in the result"


def test_a_factor_that_depends_on_the_shape_is_told_by_shape() -> None:
    a, b = (HEAD + f"adapt {{\n  update <- {factor}*update\n}}\n" for factor in ("2", "sqrt(rows / cols)"))
    finding = found(compared(a, b), "adapt", "weight of this step's update, by shape")
    assert numbers(finding) == {
        "768 × 3072": (None, 0.5),
        "3072 × 768": (None, 2),
        "768 × 768": (None, 1),
    }
