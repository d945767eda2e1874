"""The references against what their formulas give by hand: the first step from zeros on a diagonal gradient, where an
orthogonalizer is a polynomial of two numbers.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.reference import (
    adago,
    adamuon,
    adamw,
    aurora,
    deepseek_v4,
    dion_muon,
    emerging,
    heavyball_muon,
    htmuon,
    keras,
    lion,
    mars_m,
    mlx,
    modded_nanogpt,
    mud,
    muon_eq,
    muon_plus,
    muon_squared,
    muon_vs,
    mup,
    nadamw,
    naive,
    namo,
    nanochat_latest,
    normuon,
    olion,
    optax_muon,
    polar_express,
    polargrad,
    procrustes,
    rmnp,
    root,
    scion,
    sgd,
    sign_muon,
    swan,
    timm_muon,
    turbo_muon,
)

Coefficients = Sequence[tuple[float, float, float]]
KELLER: Coefficients = [(3.4445, -4.7750, 2.0315)] * 5
CONVERGENT: Coefficients = [(2.0, -1.5, 0.5)] * 12
QUINTIC: Coefficients = emerging.QUINTIC
EXPRESS: Coefficients = normuon.POLAR_EXPRESS
SAFE_EXPRESS: Coefficients = [(a / 1.01, b / 1.01**3, c / 1.01**5) for a, b, c in polar_express.COEFFICIENTS[:5]]
HYBRID: Coefficients = [(3.4445, -4.7750, 2.0315)] * 8 + [(2.0, -1.5, 0.5)] * 2
RMS = 0.2 * math.sqrt(2)
ROOT = math.sqrt(2)


def first_update(step_of: Callable[..., Tensor], gradient: Tensor, *, counted: bool = False, **hypers: Any) -> Tensor:
    """What one step with a learning rate of 1 and no decay takes from a parameter of zeros."""
    state: defaultdict[str, Tensor] = defaultdict(partial(torch.zeros, (), dtype=torch.float64))
    counts = (1,) if counted else ()
    return -step_of(torch.zeros_like(gradient), gradient, state, *counts, lr=1.0, **hypers)


def polynomial(x: float, coefficients: Coefficients) -> float:
    for a, b, c in coefficients:
        x = a * x + b * x**3 + c * x**5
    return x


def diagonal(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64).diag()


MATRIX = {"momentum": 0.9, "weight_decay": 0.0}
ADAPTIVE = {**MATRIX, "beta2": 0.95}
EVEN = (1 / ROOT, 1 / ROOT)
SIZED = (0.6, 0.8)
CLIPPED = (5.7 / math.hypot(5.7, 7.03), 7.03 / math.hypot(5.7, 7.03))

# Of the gradient diag(3, 4): the arguments of the polynomial, which are its values over 5 unless something evens them
# out or clips them, the coefficients, and the factor of the update.
POLYNOMIALS: list[tuple[str, Callable[..., Tensor], dict[str, Any], tuple[float, float], Coefficients, float]] = [
    ("mup", mup.muon, MATRIX, SIZED, KELLER, 1.0),
    ("naive", naive.muon, MATRIX, SIZED, KELLER, 1.0),
    ("keras", keras.muon, MATRIX, SIZED, KELLER, RMS),
    ("keras unscaled", keras.unscaled, MATRIX, SIZED, KELLER, 1.0),
    ("mlx seed", mlx.seed, MATRIX, SIZED, KELLER, 1.0),
    ("mlx", mlx.muon, MATRIX, SIZED, KELLER, 1.0),
    ("polar_express", polar_express.muon, MATRIX, (0.6 / 1.01, 0.8 / 1.01), SAFE_EXPRESS, 1.0),
    ("turbo_muon", turbo_muon.muon, MATRIX, (1.0, 1.0), turbo_muon.TURBO, 1.0),
    ("muon_squared", muon_squared.muon, ADAPTIVE, EVEN, CONVERGENT, 1.0),
    ("muon_squared dion", muon_squared.dion, ADAPTIVE, (EVEN[0] / 1.02, EVEN[1] / 1.02), EXPRESS, 1.0),
    ("muon_eq rows", muon_eq.muon, MATRIX, EVEN, KELLER, RMS),
    ("muon_eq cols", muon_eq.muon, {**MATRIX, "mode": "col"}, EVEN, KELLER, RMS),
    ("muon_eq both", muon_eq.muon, {**MATRIX, "mode": "rowcol"}, (0.8, 0.6), KELLER, RMS),
    ("mars_m", mars_m.muon, MATRIX, SIZED, KELLER, RMS),
    ("polargrad emerging", polargrad.emerging, MATRIX, SIZED, QUINTIC, math.nan),
    ("scion", scion.spectral, {"momentum": 0.9, "weight_decay": 0.0, "radius": 3.0}, SIZED, KELLER, 3.0),
    ("quintic", emerging.quintic, MATRIX, SIZED, QUINTIC, ROOT),
    ("cans", emerging.cans, MATRIX, SIZED, emerging.CANS, ROOT),
    ("deepseek_v4", deepseek_v4.muon, MATRIX, SIZED, HYBRID, 0.18 * ROOT),
    ("deepseek_v4 emerging", deepseek_v4.emerging, MATRIX, SIZED, HYBRID, ROOT),
    ("heavyball", heavyball_muon.muon, MATRIX, SIZED, QUINTIC, 1.0),
    ("timm", timm_muon.muon, MATRIX, SIZED, QUINTIC, RMS),
    ("dion", dion_muon.muon, MATRIX, (0.6 / 1.02, 0.8 / 1.02), EXPRESS, 1.0),
    ("aurora", aurora.muon, MATRIX, SIZED, CONVERGENT, 1.0),
    ("adago", adago.muon, MATRIX, SIZED, KELLER, 1.0),
    ("adago kozistr", adago.kozistr, MATRIX, SIZED, KELLER, 5 / (25 + 1e-6)),
    ("root", root.muon, MATRIX, CLIPPED, KELLER, RMS),
]
COUNTED: list[tuple[str, Callable[..., Tensor], dict[str, Any], tuple[float, float], Coefficients, float]] = [
    ("optax", optax_muon.muon, MATRIX, SIZED, KELLER, 1.0),
    ("optax plain", optax_muon.muon, {**MATRIX, "nesterov": False}, SIZED, KELLER, 1.0),
    ("muon_vs", muon_vs.muon, MATRIX, EVEN, KELLER, RMS),
    ("muon_nsr", muon_vs.nsr, MATRIX, EVEN, KELLER, RMS),
    # ‖u‖ = 0.19·5 and √v̂ = 5, over 1 − 0.9; the product with 0.2√2 is below 1, where it would be clamped.
    ("namo", namo.muon, MATRIX, SIZED, KELLER, 1.9 * RMS),
]


@pytest.mark.parametrize(
    ("step_of", "hypers", "arguments", "coefficients", "factor", "counted"),
    [
        pytest.param(*row, counted, id=name)
        for rows, counted in ((POLYNOMIALS, False), (COUNTED, True))
        for name, *row in rows
    ],
)
def test_a_diagonal_matrix_goes_through_the_polynomial(
    step_of: Callable[..., Tensor],
    hypers: dict[str, Any],
    arguments: tuple[float, float],
    coefficients: Coefficients,
    factor: float,
    counted: bool,
) -> None:
    values = [polynomial(x, coefficients) for x in arguments]
    if math.isnan(factor):  # PolarGrad's ⟨m, O⟩ with m = g/10
        factor = 0.3 * values[0] + 0.4 * values[1]
    found = first_update(step_of, diagonal(3, 4), counted=counted, **hypers)
    torch.testing.assert_close(found, factor * diagonal(*values), rtol=1e-5, atol=1e-9)
    negative = first_update(step_of, diagonal(-3, 4), counted=counted, **hypers)
    torch.testing.assert_close(negative, factor * diagonal(-values[0], values[1]), rtol=1e-5, atol=1e-9)


def normalised(values: Sequence[float], size: float) -> Tensor:
    return size / math.hypot(*values) * diagonal(*values)


def expected_adaptive(arguments: Sequence[float], coefficients: Coefficients) -> Tensor:
    """Both rows with the same norm, the whole as large as before."""
    return math.hypot(*(polynomial(x, coefficients) for x in arguments)) / ROOT * diagonal(1, 1)


MUS = [0.9 * (1 - 0.5 * 0.96 ** (step * 4e-3)) for step in (1, 2)]
EXACT: list[tuple[str, Callable[..., Tensor], dict[str, Any], bool, Tensor]] = [
    ("nanochat_latest", nanochat_latest.muon, ADAPTIVE, False, diagonal(1, 1)),
    ("normuon", normuon.muon, ADAPTIVE, False, expected_adaptive(SIZED, KELLER)),
    ("normuon modded", normuon.modded, ADAPTIVE, False, expected_adaptive((0.6 / 1.02, 0.8 / 1.02), EXPRESS)),
    (
        "modded_nanogpt",
        modded_nanogpt.muon,
        {"weight_decay": 0.0},
        True,
        expected_adaptive((0.6 / 1.02, 0.8 / 1.02), EXPRESS),
    ),
    ("adamuon", adamuon.muon, MATRIX, False, RMS * diagonal(1, 1)),
    ("adamuon timm", adamuon.timm, MATRIX, False, RMS * diagonal(1, 1)),
    ("muon_plus", muon_plus.muon, MATRIX, False, diagonal(1, 1)),
    ("procrustes svd", procrustes.svd, MATRIX, False, diagonal(1, 1)),
    ("procrustes", procrustes.newton_schulz, {**MATRIX, "steps": 30}, False, diagonal(1, 1)),
    ("procrustes vector", procrustes.vector, MATRIX, False, diagonal(3, 4) / 2.5),
    ("polargrad", polargrad.muon, MATRIX, False, 0.7 * diagonal(1, 1)),
    ("sign_muon", sign_muon.muon, MATRIX, False, diagonal(1, 1)),
    ("olion", olion.muon, MATRIX, False, RMS * diagonal(1, 1)),
    ("rmnp", rmnp.muon, MATRIX, False, diagonal(1, 1)),
    ("rmnp authors", rmnp.authors, MATRIX, False, diagonal(1, 1)),
    ("mud", mud.muon, MATRIX, False, RMS * diagonal(1, 1)),
    ("htmuon", htmuon.muon, MATRIX, False, diagonal(0.57**0.125, 0.76**0.125)),
    ("htmuon paper", htmuon.paper, MATRIX, False, diagonal(0.3**0.125, 0.4**0.125)),
    ("swan", swan.muon, {}, False, torch.tensor([[1.0, -1.0], [-1.0, 1.0]], dtype=torch.float64)),
    ("scion rms", scion.bias_rms, {"momentum": 0.9, "weight_decay": 0.0}, False, diagonal(3, 4) / 2.5),
    ("scion sign", scion.sign, {"momentum": 0.9, "weight_decay": 0.0}, False, 0.5 * diagonal(1, 1)),
    ("mlx seed vector", mlx.seed_vector, MATRIX, False, 0.91 * diagonal(3, 4)),
    ("mlx vector", mlx.vector, MATRIX, False, 0.19 * diagonal(3, 4)),
    ("heavyball vector", heavyball_muon.vector, MATRIX, False, 1.1 * diagonal(3, 4)),
    ("lion", lion.lion, {"weight_decay": 0.0}, False, diagonal(1, 1)),
    ("sgd", sgd.sgd, {**MATRIX, "nesterov": True}, True, 1.9 * diagonal(3, 4)),
    ("adamw", adamw.adamw, {"weight_decay": 0.0}, True, diagonal(1, 1)),
    ("nanochat adamw", nanochat_latest.adamw, {"weight_decay": 0.0}, True, diagonal(1, 1)),
    ("keras adam", keras.adam, {"weight_decay": 0.0}, True, diagonal(1, 1)),
    ("modded adam", modded_nanogpt.adam, {"weight_decay": 0.0}, True, diagonal(1, 1)),
    ("timm adamw", timm_muon.adamw, {"weight_decay": 0.0}, True, diagonal(1, 1)),
    ("nadamw timm", nadamw.timm, {"weight_decay": 0.0}, True, 1.9 * diagonal(1, 1)),
    ("nadamw optax", nadamw.optax, {"weight_decay": 0.0}, True, (1 + 0.09 / 0.19) * diagonal(1, 1)),
    ("optax adamw", optax_muon.adamw, {"weight_decay": 0.0}, True, (1 + 0.09 / 0.19) * diagonal(1, 1)),
    (
        "nadamw torch",
        nadamw.scheduled,
        {"weight_decay": 0.0},
        True,
        (1 + MUS[1] * 0.1 / (1 - MUS[0] * MUS[1])) * diagonal(1, 1),
    ),
]


@pytest.mark.parametrize(
    ("step_of", "hypers", "counted", "expected"), [pytest.param(*row, id=name) for name, *row in EXACT]
)
def test_a_diagonal_matrix_has_a_closed_form(
    step_of: Callable[..., Tensor], hypers: dict[str, Any], counted: bool, expected: Tensor
) -> None:
    found = first_update(step_of, diagonal(3, 4), counted=counted, **hypers)
    torch.testing.assert_close(found, expected, rtol=5e-5, atol=1e-6)


def test_the_projections_end_on_their_manifolds() -> None:
    parameter, gradient = diagonal(0.6, 0.8), diagonal(3, 4)
    state: defaultdict[str, Tensor] = defaultdict(partial(torch.zeros, (), dtype=torch.float64))
    ball = emerging.hyperball(parameter, gradient, state, lr=0.1, **MATRIX)
    direction = normalised([polynomial(x, QUINTIC) for x in SIZED], 1.0)
    moved = parameter - 0.1 * direction
    torch.testing.assert_close(ball, moved / moved.norm())
    state.clear()
    stiefel = emerging.spel(parameter, gradient, state, lr=0.1, **MATRIX)
    inner = parameter - 0.1 * diagonal(*(polynomial(x, QUINTIC) for x in SIZED))
    expected = [polynomial(float(x), QUINTIC) for x in (inner / inner.norm()).diagonal()]
    torch.testing.assert_close(stiefel, diagonal(*expected))


def test_the_momentum_of_modded_nanogpt_rises_and_falls() -> None:
    found = [modded_nanogpt.momentum_at(step, 0.85, 0.95, 300, 50, 1000) for step in (1, 151, 301, 951, 976, 1001)]
    assert found == pytest.approx([0.85, 0.90, 0.95, 0.95, 0.90, 0.85])


def test_keras_and_timm_say_which_parameters_are_no_matrices() -> None:
    assert keras.takes_adam("model/Embedding_1/table", (10, 4))
    assert keras.takes_adam("model/conv/kernel", (3, 3, 4, 8))
    assert keras.takes_adam("model/output_dense/kernel", (4, 8), exclude_layers=["output.*"])
    assert not keras.takes_adam("model/dense/kernel", (4, 8))
    routed = {
        shape: timm_muon.takes_adamw(shape) for shape in ((8, 8), (1, 8), (3, 9), (4, 512), (4, 513), (8, 3, 3, 3))
    }
    assert routed == {(8, 8): False, (1, 8): True, (3, 9): True, (4, 512): False, (4, 513): True, (8, 3, 3, 3): False}
