"""Every rule of the standard library against its formula, written out in float64: what three steps do to a matrix."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import muondsl
from muondsl.check.modules import standard_library
from muondsl.parse import ast

SHAPES = ((5, 3), (3, 5), (4, 4))
STEPS = 3
LR = 0.5
State = dict[str, Any]
Formula = Callable[[Tensor, State, int], Tensor]
"""The update that a gradient becomes, with what is kept from step to step and the number of the step."""


def gradient(shape: tuple[int, ...], step: int) -> Tensor:
    generator = torch.Generator().manual_seed(step + 10 * shape[0])
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def start(shape: tuple[int, ...]) -> Tensor:
    return gradient(shape, 99)


def positions(text: str, shape: tuple[int, ...], route: str = "matrix") -> list[Tensor]:
    """Where each step of a spec leaves the parameter."""
    parameter = torch.nn.Parameter(start(shape))
    group = {"params": [parameter], "route": route}
    spec = f"optimizer Probe\nhyper lr = {LR}\n{text}\n"
    optimizer = muondsl.load(spec, precision="fp64", numerics="faithful")([group])
    found = []
    for step in range(1, STEPS + 1):
        parameter.grad = gradient(shape, step)
        optimizer.step()
        found.append(parameter.detach().clone())
    return found


def check_updates(text: str, formula: Formula, shape: tuple[int, ...], tolerance: float = 1e-11) -> None:
    """Compares what a spec subtracts, over the learning rate, with the formula."""
    before, state = start(shape), {"m": 0.0, "v": 0.0, "p": start(shape)}
    for step, after in enumerate(positions(text, shape), 1):
        expected = formula(gradient(shape, step), state, step)
        torch.testing.assert_close((before - after) / LR, expected, rtol=tolerance, atol=tolerance)
        before = state["p"] = after


def lerp(start: Any, end: Tensor, weight: float) -> Tensor:
    return (1 - weight) * start + weight * end


def momentum(keep: float, take_in: float, of_gradient: float, of_momentum: float) -> Formula:
    def formula(g: Tensor, state: State, step: int) -> Tensor:
        state["m"] = keep * state["m"] + take_in * g
        return of_gradient * g + of_momentum * state["m"]

    return formula


def corrected_nesterov(g: Tensor, state: State, step: int) -> Tensor:
    state["m"] = 0.9 * state["m"] + 0.1 * g
    return 0.9 * state["m"] / (1 - 0.9 ** (step + 1)) + 0.1 * g / (1 - 0.9**step)


def corrected_ema(g: Tensor, state: State, step: int) -> Tensor:
    state["m"] = 0.9 * state["m"] + 0.1 * g
    return state["m"] / (1 - 0.9**step)


def clipped_ema(g: Tensor, state: State, step: int) -> Tensor:
    average = 0.9 * state["m"] + 0.1 * g
    state["m"] = average * min(1, 0.4 / float(average.norm()))
    return state["m"]


def double_average(g: Tensor, state: State, step: int) -> Tensor:
    update = 0.9 * state["m"] + 0.1 * g
    state["m"] = 0.8 * state["m"] + 0.2 * g
    return update


MOMENTA: dict[str, Formula] = {
    "affine(0.9, 0.2, 0.3, 0.4)": momentum(0.9, 0.2, 0.3, 0.4),
    "ema(0.9)": momentum(0.9, 0.1, 0, 1),
    "clipped_ema(0.9, 0.4)": clipped_ema,
    "nesterov(0.9)": momentum(0.9, 0.1, 0.1, 0.9),
    "nesterov_ema(0.9)": momentum(0.9, 0.1, 1, 1),
    "swapped_nesterov(0.9)": momentum(0.9, 0.1, 0.9, 0.1),
    "heavy_ball(0.9)": momentum(0.9, 1, 0, 1),
    "nesterov_heavy_ball(0.9)": momentum(0.9, 1, 1, 0.9),
    "corrected_ema(0.9)": corrected_ema,
    "corrected_nesterov(0.9)": corrected_nesterov,
    "double_average(0.9, 0.8)": double_average,
}


def polynomial(g: Tensor, table: list[tuple[float, ...]]) -> Tensor:
    """The odd polynomials one after the other, on singular values."""
    left, values, right = torch.linalg.svd(g, full_matrices=False)
    for row in table:
        values = torch.stack([c * values ** (2 * place + 1) for place, c in enumerate(row)]).sum(0)
    return left @ torch.diag(values) @ right


KELLER_JORDAN = (3.4445, -4.7750, 2.0315)
NANOCHAT = [
    (8.156554524902461, -22.48329292557795, 15.878769915207462),
    (4.042929935166739, -2.808917465908714, 0.5000178451051316),
    (3.8916678022926607, -2.772484153217685, 0.5060648178503393),
    (3.285753657755655, -2.3681294933425376, 0.46449024233003106),
    (2.3465413258596377, -1.7097828382687081, 0.42323551169305323),
]
TURBO = [
    (4.6051, -9.6552, 5.6769),
    (4.7505, -6.0861, 2.1790),
    (2.7763, -2.3190, 0.5523),
    (2.4231, -2.2861, 0.8193),
]


def aol(g: Tensor) -> Tensor:
    x = g.T if g.shape[0] > g.shape[1] else g
    gram = x @ x.T
    x = torch.diag(gram.abs().sum(1) ** -0.5) @ x
    return x.T if g.shape[0] > g.shape[1] else x


def inverse_root(g: Tensor, steps: int, eps: float) -> Tensor:
    one = torch.eye(g.shape[1], dtype=g.dtype)
    s = g.T @ g + eps * one
    y, z = s / (torch.trace(s) + eps), one
    for _ in range(steps):
        t = (3 * one - z @ y) / 2
        y, z = y @ t, t @ z
    return g @ z / (torch.trace(s) + eps) ** 0.5


def triangular(g: Tensor, passes: int) -> Tensor:
    q = g.T if g.shape[0] > g.shape[1] else g
    for _ in range(passes):
        q = q / (q.norm(dim=1, keepdim=True) + 1e-8)
        q = torch.linalg.inv(torch.tril(q @ q.T)) @ q
        q = q / (q.norm(dim=1, keepdim=True) + 1e-8)
    return q.T if g.shape[0] > g.shape[1] else q


def spectral(g: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    left, values, right = torch.linalg.svd(g, full_matrices=False)
    return left @ torch.diag(change(values)) @ right


STATELESS: dict[str, Callable[[Tensor], Tensor]] = {
    "newton_schulz()": lambda g: polynomial(g / (g.norm() + 1e-7), [KELLER_JORDAN] * 5),
    "newton_schulz(eps = 9, clamped = true)": lambda g: polynomial(g / 9, [KELLER_JORDAN] * 5),
    "newton_schulz_after_norm()": lambda g: polynomial(g / g.norm(), [KELLER_JORDAN] * 5),
    "newton_schulz_after_norm(2, [(1, -0.1, 0.01)], eps = 9)": lambda g: polynomial(g / 9, [(1, -0.1, 0.01)] * 2),
    "polar_express()": lambda g: polynomial(g / (1.02 * g.norm() + 1e-6), NANOCHAT),
    "odd_quintic(2, [(1, -0.1, 0.01), (0.5, 0.1, 0)])": lambda g: polynomial(g, [(1, -0.1, 0.01), (0.5, 0.1, 0)]),
    "odd_cubic(3, [(1, -0.1), (0.5, 0.1)])": lambda g: polynomial(g, [(1, -0.1), (0.5, 0.1), (0.5, 0.1)]),
    "cubic_newton_schulz(7)": lambda g: polynomial(g / (g.norm() + 1e-7), [(1.5, -0.5)] * 7),
    "aol()": aol,
    "turbo()": lambda g: polynomial(aol(g), TURBO),
    "inverse_root(12, eps = 1e-3)": lambda g: inverse_root(g, 12, 1e-3),
    "polar()": lambda g: spectral(g, torch.ones_like),
    "spectral_power(0.125)": lambda g: spectral(g, lambda values: values**0.125),
    "spectral_clip(1.5)": lambda g: spectral(g, lambda values: values.clamp(max=1.5)),
    "triangular()": lambda g: triangular(g, 1),
    "triangular(3)": lambda g: triangular(g, 3),
    "signed()": torch.sign,
    "with_norm(3, eps = 0.1)": lambda g: 3 * g / (g.norm() + 0.1),
    "with_norm(3, eps = 9, clamped = true)": lambda g: g / 3,
    "norm_clipped(2)": lambda g: 2 * g / g.norm(),
    "norm_clipped(100)": lambda g: g,
    "rms_scaled(0.1)": lambda g: g / math.sqrt(float((g**2).mean()) + 0.1),
    "row_normalized()": lambda g: g / g.norm(dim=1, keepdim=True),
    "row_normalized(eps = 2)": lambda g: g / g.norm(dim=1, keepdim=True).clamp(min=2),
    "row_normalized(eps = 2, clamped = false)": lambda g: g / (g.norm(dim=1, keepdim=True) + 2),
    "column_normalized()": lambda g: g / g.norm(dim=0, keepdim=True),
    "row_equilibrated(0.1)": lambda g: (g.square().sum(1, keepdim=True) + 0.1) ** -0.5 * g,
    "column_equilibrated(0.1)": lambda g: (g.square().sum(0, keepdim=True) + 0.1) ** -0.5 * g,
    "equilibrated(0.1)": lambda g: (
        (g.square().sum(1, keepdim=True) + 0.1) ** -0.5 * g * (g.square().sum(0, keepdim=True) + 0.1) ** -0.5
    ),
}


def second_moment(g: Tensor, state: State, step: int, *, corrected: bool = False) -> Tensor:
    state["v"] = lerp(state["v"], g**2, 0.1)
    found = state["v"] / (1 - 0.9**step) if corrected else state["v"]
    return g / (found**0.5 + 1e-3)


def adamuon(g: Tensor, state: State, step: int) -> Tensor:
    update = second_moment(g, state, step)
    return update * g.numel() ** 0.5 / (update.norm() + 1e-3)


def normuon_rows(g: Tensor, state: State, step: int) -> Tensor:
    state["v"] = lerp(state["v"], (g**2).mean(1, keepdim=True), 0.1)
    update = g / (state["v"] ** 0.5 + 1e-3)
    return update * g.norm() / (update.norm() + 1e-3)


def normuon(g: Tensor, state: State, step: int) -> Tensor:
    state["v"] = lerp(state["v"], (g**2).mean(1 if g.shape[0] >= g.shape[1] else 0, keepdim=True).float(), 0.1)
    update = g * state["v"].clamp(min=1e-3) ** -0.5
    return update * g.norm() / update.norm().clamp(min=1e-3)


ADAPTING: dict[str, Formula] = {
    "second_moment(0.9, 1e-3)": second_moment,
    "second_moment(0.9, 1e-3, of = 2*gradient)": lambda g, state, step: second_moment(2 * g, state, step) / 2,
    "second_moment(0.9, 1e-3, corrected = true)": lambda g, state, step: second_moment(g, state, step, corrected=True),
    "adamuon(0.9, 1e-3)": adamuon,
    "normuon_rows(0.9, 1e-3)": normuon_rows,
    "normuon(0.9, 1e-3)": normuon,
}


def adam(
    g: Tensor, state: State, step: int, *, is_hat: bool = False, is_nesterov: bool = False, decay: float = 0.1
) -> Tensor:
    state["m"], state["v"] = lerp(state["m"], g, 0.1), lerp(state["v"], g**2, 0.2)
    first = lerp(g, state["m"], 0.9) if is_nesterov else state["m"]
    second = state["v"] / (1 - 0.8**step)
    if is_hat:
        step_of = (1 - 0.8**step) ** 0.5 / (1 - 0.9**step) * first / (state["v"] ** 0.5 + 0.01)
    else:
        step_of = first / (1 - 0.9**step) / (second**0.5 + 0.01)
    return decay * state["p"] + step_of


def lion(g: Tensor, state: State, step: int) -> Tensor:
    return 0.1 * state["p"] + double_average(g, state, step).sign()


def corrected_nadamw(g: Tensor, state: State, step: int) -> Tensor:
    state["m"], state["v"] = lerp(state["m"], g, 0.1), lerp(state["v"], g**2, 0.2)
    first = 0.9 * state["m"] / (1 - 0.9 ** (step + 1)) + 0.1 * g / (1 - 0.9**step)
    return 0.1 * state["p"] + first / ((state["v"] / (1 - 0.8**step)) ** 0.5 + 0.01)


def sgd_momentum(g: Tensor, state: State, step: int) -> Tensor:
    state["m"] = 0.9 * state["m"] + g + 0.1 * state["p"]
    return state["m"]


ADAM = "((0.9, 0.8), 0.01, 0.1)"
ELEMENTWISE: dict[str, Formula] = {
    f"adamw{ADAM}": adam,
    f"adamw_hat{ADAM}": lambda g, state, step: adam(g, state, step, is_hat=True),
    f"nadamw{ADAM}": lambda g, state, step: adam(g, state, step, is_nesterov=True),
    "lion((0.9, 0.8), 0.1)": lion,
    "corrected_nadamw((0.9, 0.8), 0.01, 0.1)": corrected_nadamw,
    "adam_hat((0.9, 0.8), 0.01)": lambda g, state, step: adam(g, state, step, is_hat=True, decay=0),
    "sgd_momentum(0.9, 0.1)": sgd_momentum,
}


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("rule", MOMENTA)
def test_a_momentum_is_its_formula(rule: str, shape: tuple[int, int]) -> None:
    check_updates(f"momentum {rule}", MOMENTA[rule], shape)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("rule", STATELESS)
def test_a_rule_without_state_is_its_formula(rule: str, shape: tuple[int, int]) -> None:
    check_updates(f"orthogonalize {rule}", lambda g, state, step: STATELESS[rule](g), shape)


def test_the_inverse_root_of_a_tall_matrix_ends_at_the_polar_factor() -> None:
    # XᵀX has the square of the matrix's condition, which costs digits.
    polar = STATELESS["polar()"]
    check_updates("orthogonalize inverse_root(40, eps = 1e-15)", lambda g, state, step: polar(g), (5, 3), 1e-8)


@pytest.mark.parametrize("rule", ["polar()", "spectral_power(0.125)", "spectral_clip(1.5)", "triangular()"])
def test_what_is_zero_in_a_matrix_goes_nowhere(rule: str) -> None:
    parameter = torch.nn.Parameter(torch.zeros(6, 9))
    optimizer = muondsl.load(f"optimizer Probe\nhyper lr = 1\northogonalize {rule}\n")([parameter])
    parameter.grad = torch.zeros(6, 9)
    optimizer.step()
    assert not parameter.any()
    parameter.grad = gradient((6, 9), 1).float()
    parameter.grad[2] = 0
    optimizer.step()
    assert parameter[2].abs().max() < 1e-5
    assert parameter[3].norm() > 0.5


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("rule", ADAPTING)
def test_a_second_moment_is_its_formula(rule: str, shape: tuple[int, int]) -> None:
    # NorMuon keeps its moment in fp32 whatever the precision.
    check_updates(f"adapt {rule}", ADAPTING[rule], shape, 1e-6 if rule.startswith("normuon") else 1e-11)


@pytest.mark.parametrize("rule", ELEMENTWISE)
def test_an_optimizer_for_any_shape_is_its_formula(rule: str) -> None:
    for shape in ((7,), (3, 2, 4)):
        before, state = start(shape), {"m": 0.0, "v": 0.0, "p": start(shape)}
        for step, after in enumerate(positions(f"otherwise {rule}", shape, "otherwise"), 1):
            expected = before - LR * ELEMENTWISE[rule](gradient(shape, step), state, step)
            torch.testing.assert_close(after, expected, rtol=1e-11, atol=1e-11)
            before = state["p"] = after


def test_nadam_is_that_of_torch() -> None:
    parameter = torch.nn.Parameter(start((3, 4)))
    options = {"lr": LR, "betas": (0.9, 0.8), "eps": 0.01, "weight_decay": 0.1, "momentum_decay": 0.02}
    optimizer = torch.optim.NAdam([parameter], decoupled_weight_decay=True, **options)
    for step, found in enumerate(positions("otherwise nadam((0.9, 0.8), 0.01, 0.1, 0.02)", (3, 4), "otherwise"), 1):
        parameter.grad = gradient((3, 4), step)
        optimizer.step()
        # torch keeps the product of the momenta in fp32.
        torch.testing.assert_close(found, parameter.detach(), rtol=1e-6, atol=1e-7)


DECAYS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "decay decoupled(0.1)": lambda p, g: p - LR * (0.1 * p + g),
    "decay cautious(0.1)": lambda p, g: p - LR * (0.1 * p * (g * p >= 0) + g),
    "decay cautious(0.1, at_zero = false)": lambda p, g: p - LR * (0.1 * p * (g * p > 0) + g),
    "gradient coupled(0.1)": lambda p, g: p - LR * (0.1 * p + g),
}


@pytest.mark.parametrize("text", DECAYS)
def test_a_decay_is_its_formula(text: str) -> None:
    before = start((3, 5))
    for step, after in enumerate(positions(text, (3, 5)), 1):
        torch.testing.assert_close(after, DECAYS[text](before, gradient((3, 5), step)), rtol=1e-12, atol=1e-12)
        before = after


@pytest.mark.parametrize(("rule", "share"), [("cautious(0.1)", 0.1), ("cautious(0.1, at_zero = false)", 0.0)])
def test_cautious_decay_of_what_stands_still(rule: str, share: float) -> None:
    parameter = torch.nn.Parameter(start((3, 5)))
    parameter.grad = torch.zeros_like(parameter)
    muondsl.load(f"optimizer Probe\nhyper lr = {LR}\ndecay {rule}\n")([parameter]).step()
    torch.testing.assert_close(parameter.detach(), (1 - LR * share) * start((3, 5)))


def test_every_rule_is_compared_with_its_formula() -> None:
    texts = (*MOMENTA, *STATELESS, *ADAPTING, *ELEMENTWISE, "nadam", *(text.split()[1] for text in DECAYS))
    compared = {text.partition("(")[0] for text in texts}
    rules = {item.name for file in standard_library() for item in file.items if isinstance(item, ast.Rule)}
    assert rules == compared
