"""What a stage makes of updates that come in, measured: what an element of the result depends on, how its size follows
that of the update, what norms it has, what is kept.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from muondsl.compare.fact import Fact
from muondsl.compare.finding import Number
from muondsl.compare.respond import TALL, WIDE, Responder, cosine, gaussian, rms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

TOLERANCE = 1e-6
"""Epsilons of divisions are less than this part of the norms of large matrices."""

SIZES = (1e2, 1.0, 1e-2, 1e-4, 1e-6, 1e-8, 1e-10)
LARGE = 100.0
"""What matrices are multiplied by where epsilons are not to be seen."""

SCALES = ((LARGE, TOLERANCE), (0.01, 1e-2))
"""Sizes of elements at which results are measured, and with which tolerance: epsilons may show at the smaller one, and
bounds of norms at the larger one alone.
"""

SEEDS = range(3)
PAIRED_SHAPES = ((24, 16), (16, 24))
PAIRED_STEPS = (1, 10)

NORMS: dict[str, Callable[[Tensor], Tensor]] = {
    "every element, but for its sign,": torch.abs,
    "every row's norm": lambda x: x.norm(dim=1),
    "every column's norm": lambda x: x.norm(dim=0),
    "every singular value": lambda x: torch.linalg.svdvals(x) if x.isfinite().all() else x,
    "the root mean square": lambda x: x.square().mean().sqrt(),
    "the Frobenius norm": lambda x: x.norm(),
}


def nonlinear_facts(stage: Responder) -> Iterator[Fact]:
    yield Fact("an element of the result depends on", _by_shape(stage, _reach))
    yield from size_facts(stage)
    if norms := _norms(stage):
        yield Fact("norms of the result", norms)
    if kept := [line for name in stage.isolated.kept if (line := _kept(stage, name))]:
        yield Fact("what is kept", "\n".join(kept))
    if stage.isolated.stage.name == "orthogonalize":
        yield from _distance_from_orthogonal(stage)


def is_finite(stage: Responder) -> bool:
    """Whether there is anything to measure."""
    return all(stage.run(gaussian(shape))["update"].isfinite().all().item() for shape in (TALL, WIDE))


def size_facts(stage: Responder) -> Iterator[Fact]:
    """How the size of the result follows that of the update, down to where epsilons act."""
    yield Fact("size of the result", _by_shape(stage, _size))
    sizes = tuple((f"of an update of norm {size:g}", rms(stage.run(_of_norm(size))["update"])) for size in SIZES)
    yield Fact("root mean square of the result", "", sizes)


def _distance_from_orthogonal(stage: Responder) -> Iterator[Fact]:
    numbers = []
    for shape in PAIRED_SHAPES:
        x = gaussian(shape)
        result = stage.run(x)["update"]
        if not result.isfinite().all():
            return
        u, _, v = torch.linalg.svd(x, full_matrices=False)
        values = torch.linalg.svdvals(result)
        size = f"{shape[0]} × {shape[1]}"
        numbers.append((f"smallest singular value, {size}", values.min().item()))
        numbers.append((f"largest singular value, {size}", values.max().item()))
        numbers.append((f"cosine with the polar factor, {size}", cosine(result, u @ v)))
    yield Fact("result for Gaussian updates", "", tuple(numbers))


def _of_norm(size: float) -> Tensor:
    x = gaussian(TALL)
    return x.mul(size / x.norm().item())


def _by_shape(stage: Responder, measure: Callable[[Responder, tuple[int, int]], str]) -> str:
    tall, wide = (measure(stage, shape) for shape in (TALL, WIDE))
    return tall if tall == wide else f"{tall} in matrices with more rows than columns, {wide} in the others"


def _reach(stage: Responder, shape: tuple[int, int]) -> str:
    """Which elements of the update an element of the result depends on, in the first step."""
    x = LARGE * gaussian(shape)
    other = x.clone()
    other[0, 0] *= -3
    before, after = (stage.run(each)["update"] for each in (x, other))
    changed = (after - before).abs() > TOLERANCE * before.abs().max()
    row, column, rest = (part.any().item() for part in (changed[0, 1:], changed[1:, 0], changed[1:, 1:]))
    if rest:
        return "the whole matrix"
    if row and column:
        return "its row and its column"
    if row or column:
        return "its row" if row else "its column"
    return "the same element of the update" if changed[0, 0].item() else "no element of the update"


def _size(stage: Responder, shape: tuple[int, int]) -> str:
    """How the result of the first step follows the size of the update, of large and of small updates."""
    powers = [_power_of(stage, size * gaussian(shape), tolerance) for size, tolerance in SCALES]
    if powers[0] != powers[1]:
        return "follows the update's in one way where that is large, in another where it is small"
    if powers[0] is None:
        return "neither in proportion to the update's nor without regard to it"
    if powers[0] == 0:
        return "does not depend on the update's"
    return (
        "in proportion to the update's" if powers[0] == 1 else f"follows the update's to the power of {powers[0]:.4g}"
    )


def _power_of(stage: Responder, x: Tensor, tolerance: float) -> float | None:
    once, twice = (stage.run(factor * x)["update"] for factor in (1, 2))
    return _power(once, twice, tolerance)


def is_normalized(stage: Responder) -> bool:
    """Whether the size of the update does not matter but for epsilons."""
    return all(_power_of(stage, size * gaussian(TALL), tolerance) == 0 for size, tolerance in SCALES)


def _power(once: Tensor, twice: Tensor, tolerance: float) -> float | None:
    """p, if doubling what comes in multiplies what goes out by 2ᵖ."""
    ratio = twice.norm().item() / once.norm().item() if once.norm().item() else 0.0
    if not ratio > 0 or not math.isfinite(ratio):
        return None
    if not (twice - ratio * once).norm() <= tolerance * twice.norm():
        return None
    power = round(math.log2(ratio) * 12) / 12
    return power if math.isclose(2**power, ratio, rel_tol=tolerance) else None


def _norms(stage: Responder) -> str:
    """What is the same whatever comes in, or stays as it came in, in the first step, of large updates and of others."""
    large, usual = ([*_responses(stage, size)] for size, _ in SCALES)
    for noun, norm in NORMS.items():
        values, others = (torch.cat([norm(after).flatten() for _, after in pairs]) for pairs in (large, usual))
        if _is_near(values, values[0], TOLERANCE) and _is_near(others, values[0], SCALES[1][1]):
            return f"{noun} is {values[0].item():.5g}"
    for noun, norm in NORMS.items():
        if all(_is_near(norm(after), norm(before), TOLERANCE) for before, after in large):
            return f"{noun} stays"
    return ""


def _responses(stage: Responder, size: float) -> Iterator[tuple[Tensor, Tensor]]:
    for shape in (TALL, WIDE):
        for seed in SEEDS:
            x = size * gaussian(shape, seed)
            yield x, stage.run(x)["update"]


def _is_near(x: Tensor, y: Tensor, tolerance: float) -> bool:
    return torch.allclose(x, y.expand_as(x), rtol=tolerance, atol=0)


def _kept(stage: Responder, name: str) -> str:
    """What part of a state is left when nothing comes in, and how its size follows that of what does."""
    x = LARGE * gaussian(TALL)
    if stage.fresh(x, x)[name].any():
        return ""
    once, twice = (stage.run(factor * x, gradient_size=factor * LARGE) for factor in (1, 2))
    after = stage.run(0 * x, states={each: once[each] for each in stage.isolated.kept}, step=2, gradient_size=0)
    words = []
    power = _power(once[name], twice[name], TOLERANCE)
    if power is not None:
        words.append(f"of degree {power:.4g} in the update")
    ratio = (after[name].norm() / once[name].norm()).item() if once[name].any() else math.nan
    if torch.allclose(after[name], ratio * once[name], rtol=TOLERANCE):
        words.append(f"keeps {ratio:.6g} a step")
    return f"{name}: {', '.join(words)}" if words else ""


def paired_numbers(a: Responder, b: Responder) -> tuple[Number, ...]:
    """The results of two stages for the same updates, which have a part in common and a random part."""
    found = []
    for shape in PAIRED_SHAPES:
        updates = [gaussian(shape, 100) + gaussian(shape, step) for step in range(max(PAIRED_STEPS))]
        parameter = gaussian(shape, 99)
        results = [stage.sequence(updates, parameter) for stage in (a, b)]
        for step in PAIRED_STEPS:
            x, y = (result[step - 1]["update"] for result in results)
            found.append(Number(f"{shape[0]} × {shape[1]}, step {step}", rms(x), rms(y), cosine(x, y)))
    return tuple(found)
