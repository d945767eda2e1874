"""What stages make of the parameter, measured: the norms that `project` gives it, and how far a decay moves it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from muondsl.compare.fact import Fact
from muondsl.compare.finding import Number
from muondsl.compare.nonlinear_facts import NORMS, SEEDS, TOLERANCE
from muondsl.compare.respond import TALL, WIDE, Responder, cosine, gaussian, rms

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor


def projection_facts(stage: Responder) -> Iterator[Fact]:
    """The norms that the stage gives the parameter, for parameters and steps that have nothing in common."""
    before, behind = _given()
    results = _results(stage)
    known = {"that of before the step": before, "that of behind the step": behind}
    found = []
    for noun, norm in NORMS.items():
        everything = torch.cat([norm(result).flatten() for result in results])
        if _is_one_number(everything):
            found.append(f"{noun} is {everything[0].item():.5g}")
        for words, given in known.items():
            pairs = zip(results, given, strict=True)
            ratios = torch.cat([(norm(result) / norm(each)).flatten() for result, each in pairs])
            if _is_one_number(ratios):
                factor = f"{ratios[0].item():.6g} times " if abs(ratios[0].item() - 1) > TOLERANCE else ""
                found.append(f"{noun} is {factor}{words}")
    # What holds of every row holds of the whole as well.
    yield Fact("norms of the parameter", found[0] if found else "none is given")


def _is_one_number(x: Tensor) -> bool:
    return torch.allclose(x, x[0], rtol=TOLERANCE, atol=0)


def paired_parameters(a: Responder, b: Responder) -> tuple[Number, ...]:
    """What two stages make of the same parameters: of a decay, how far it moves them."""
    is_projection = a.isolated.stage.name == "project"
    _, found = _given()
    pairs = zip(_results(a), _results(b), found, strict=True)
    moved = [(x, y) if is_projection else (x - start, y - start) for x, y, start in pairs]
    return tuple(
        Number(f"{len(x)} × {len(x.T)}, number {place}", rms(x), rms(y), cosine(x, y))
        for place, (x, y) in enumerate(moved, 1)
    )


def _given() -> tuple[list[Tensor], list[Tensor]]:
    """Parameters before steps, and behind them."""
    drawn = [(shape, seed) for shape in (TALL, WIDE) for seed in SEEDS]
    return [gaussian(shape, seed) for shape, seed in drawn], [gaussian(shape, seed + 50) for shape, seed in drawn]


def _results(stage: Responder) -> list[Tensor]:
    """What becomes of the parameters behind steps or, where the stage is joined with the step, of those before."""
    return [
        stage.run(gaussian(before.shape, 70), before if stage.isolated.takes_step else behind, previous=before)[
            "parameter"
        ]
        for before, behind in zip(*_given(), strict=True)
    ]
