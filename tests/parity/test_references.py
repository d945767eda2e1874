"""Every spec against formulas written down apart from it, in float64: `tests/reference`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import permutations
from typing import Any

import pytest
import torch
from torch import Tensor

from muondsl.ir.types import Format
from tests.parity.trajectories import SHAPES, gradient, loaded, relative, scheduled_lr, start
from tests.reference import keller_jordan, moonlight, nanochat, torch_muon

STEPS = 10
FP32, FP64 = torch.float32, torch.float64
OTHERS = ((48,), (8, 3, 3, 3), (), (17, 33))

Step = Callable[..., Tensor]


def uneven(shape: tuple[int, ...], step: int) -> Tensor:
    """A gradient whose last row and column are zero, and those before them small: the update is zero in the ones, and
    its mean square near nanochat's ε in the others.
    """
    found = gradient(shape, step)
    for dim in (dim for dim, size in enumerate(shape) if size > 2):
        found.select(dim, -1).zero_()
        found.select(dim, -2).mul_(1e-4)
    return found


GRADIENTS: dict[str, Callable[[tuple[int, ...], int], Tensor]] = {
    "ordinary": gradient,
    "uneven": uneven,
    "tiny": partial(gradient, size=1e-8),  # the momentum has a norm near each ε
    "huge": partial(gradient, size=1e3),  # no ε shows
}
ALL_BUT_HUGE = ("ordinary", "uneven", "tiny")


@dataclass(frozen=True)
class Variant:
    """A spec and its reference, and the gradients for which the two are the same."""

    spec: str
    muon: Step
    gradients: tuple[str, ...]
    other: Step | None = None
    hypers: dict[str, float] = field(default_factory=dict)


VARIANTS = {
    each.spec: each
    for each in (
        Variant("keller_jordan", keller_jordan.muon, ALL_BUT_HUGE, keller_jordan.adam),
        Variant("nanochat", nanochat.muon, ALL_BUT_HUGE, nanochat.adamw, {"beta2": 0.9}),
        # Moonlight's published code does other things with its ε; test_torch_muon shows that of the spec bit for bit.
        Variant("moonlight", moonlight.muon, ("huge",), moonlight.adamw),
        Variant("torch_muon", torch_muon.muon, ALL_BUT_HUGE),
        Variant("torch_muon_plain", partial(torch_muon.muon, nesterov=False), ALL_BUT_HUGE),
    )
}

MUON_HYPERS = {"momentum": 0.9, "weight_decay": 0.5}


def movement(
    spec: str, route: str, shape: tuple[int, ...], kind: str, precision: Format, hypers: dict[str, float]
) -> Tensor:
    """How far the optimizer carries a parameter of the format of `precision`."""
    dtype = FP64 if precision == "fp64" else FP32
    parameter = start(shape, dtype)
    begin = parameter.detach().clone()
    optimizer = loaded(spec, precision=precision)([{"params": [parameter], "route": route, **hypers}])
    for step in range(STEPS):
        optimizer.param_groups[0]["lr"] = scheduled_lr(step)
        parameter.grad = GRADIENTS[kind](shape, step).to(dtype)
        optimizer.step()
    return (parameter.detach() - begin).double()


def expected_movement(
    step_of: Step, shape: tuple[int, ...], kind: str, hypers: dict[str, float], *, counted: bool = False
) -> Tensor:
    begin = start(shape).detach().double()
    parameter, state = begin, defaultdict(partial(torch.zeros, (), dtype=FP64))
    for step in range(STEPS):
        each = GRADIENTS[kind](shape, step).double()
        counts = (step + 1,) if counted else ()
        parameter = step_of(parameter, each, state, *counts, lr=scheduled_lr(step), **hypers)
    return parameter - begin


def matrix_error(spec: str, reference: str, shape: tuple[int, int], kind: str, precision: Format) -> float:
    ours, theirs = VARIANTS[spec], VARIANTS[reference]
    found = movement(spec, "matrix", shape, kind, precision, {**MUON_HYPERS, **ours.hypers})
    return relative(found, expected_movement(theirs.muon, shape, kind, {**MUON_HYPERS, **theirs.hypers}))


def other_error(spec: str, reference: str, shape: tuple[int, ...], kind: str, precision: Format) -> float:
    theirs, hypers = VARIANTS[reference].other, {"weight_decay": 0.5}
    assert theirs is not None
    found = movement(spec, "otherwise", shape, kind, precision, hypers)
    return relative(found, expected_movement(theirs, shape, kind, hypers, counted=True))


def cases(route: str) -> Iterator[Any]:
    for spec, variant in VARIANTS.items():
        for kind in variant.gradients:
            for shape in SHAPES if route == "matrix" else OTHERS if variant.other else ():
                name = "x".join(map(str, shape)) or "scalar"
                yield pytest.param(spec, shape, kind, id=f"{spec}-{name}-{kind}")


@pytest.mark.parametrize(("spec", "shape", "kind"), list(cases("matrix")))
def test_a_matrix_moves_as_the_reference_says(spec: str, shape: tuple[int, int], kind: str) -> None:
    single, double = 1e-5, 1e-9
    if spec == "nanochat":
        # Its second moment is fp32 whatever the precision.
        double = 1e-6
        if 1 in shape:
            # The one singular value begins at 1/1.02, where the five polynomials magnify a relative error some 190
            # times: fp32 rounding alone, which differs between machines, has made up to 3e-5.
            single = 5e-5
    assert matrix_error(spec, spec, shape, kind, "fp32") <= single
    assert matrix_error(spec, spec, shape, kind, "fp64") <= double


@pytest.mark.parametrize(("spec", "shape", "kind"), list(cases("otherwise")))
def test_any_other_parameter_moves_as_the_reference_says(spec: str, shape: tuple[int, ...], kind: str) -> None:
    assert other_error(spec, spec, shape, kind, "fp32") <= 1e-5
    assert other_error(spec, spec, shape, kind, "fp64") <= 1e-9


# Tiny gradients, so that the place and the size of each ε show.


@pytest.mark.parametrize(("spec", "reference"), list(permutations(VARIANTS, 2)))
def test_no_spec_passes_for_another(spec: str, reference: str) -> None:
    assert matrix_error(spec, reference, (32, 96), "tiny", "fp64") > 0.1


@pytest.mark.parametrize(
    ("spec", "reference"), list(permutations((name for name, each in VARIANTS.items() if each.other), 2))
)
def test_no_aux_adam_passes_for_another(spec: str, reference: str) -> None:
    assert other_error(spec, reference, (17, 33), "tiny", "fp64") > 0.01
