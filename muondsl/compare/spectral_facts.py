"""What an orthogonalizer does to singular values, measured on matrices whose singular values are known."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import torch

from muondsl.compare.fact import Fact
from muondsl.compare.nonlinear_facts import is_normalized
from muondsl.compare.respond import gaussian, rotation

if TYPE_CHECKING:
    from muondsl.compare.respond import Responder

LOWEST = 1e-3
"""The lower end of the singular values for which coefficients are designed, of a Frobenius norm of one."""

POINTS = 160
REFINEMENTS = 24
SHAPES = ((4, 3), (3, 4), (3, 3))
SHOWN = (0.001, 0.01, 0.1, 0.3, 1.0)
NEAR_ZERO = (1e-7, 1e-8)

LARGE = 1e4
"""A norm beside which no epsilon is seen."""

Map = Callable[[float], float]


def acts_on_singular_values(stage: Responder) -> bool:
    """Whether the singular vectors do not matter: f(QXP) = Q f(X) P for orthogonal Q and P."""
    for rows, cols in SHAPES:
        x = gaussian((rows, cols))
        q, p = rotation(rows, 1), rotation(cols, 2)
        expected = q @ stage.run(x)["update"] @ p
        found = stage.run(q @ x @ p)["update"]
        if not (found - expected).norm() <= 1e-7 * expected.norm():
            return False
    return True


def spectral_facts(stage: Responder) -> Iterator[Fact]:
    """Of a stage that acts on singular values: where it takes those of a matrix with a Frobenius norm of one or, if the
    norm does not matter, parts of any norm.
    """
    is_relative = is_normalized(stage)
    f = _Memory(stage, LARGE if is_relative else 1.0)
    words = "parts σ of the Frobenius norm" if is_relative else "singular values σ, of a Frobenius norm of 1"
    low, high = _image(f)
    slopes = [f(value) / value for value in NEAR_ZERO]
    slope = slopes[1] if math.isclose(*slopes, rel_tol=1e-3) else math.inf
    numbers = [(f"σ = {value:g}", f(value)) for value in SHOWN]
    numbers += [(f"least for σ in [{LOWEST:g}, 1]", low), (f"most for σ in [{LOWEST:g}, 1]", high)]
    yield Fact("where singular values go", words, (*numbers, ("slope at σ = 0", slope)))


class _Memory:
    """The function of one singular value, computed once for each; `norm` is that of the matrices."""

    def __init__(self, stage: Responder, norm: float) -> None:
        self.stage = stage
        self.norm = norm
        self.known: dict[float, float] = {}

    def __call__(self, value: float) -> float:
        """On a diagonal matrix of the value and what makes up the norm."""
        if value not in self.known:
            rest = math.sqrt(max(0.0, 1 - value * value))
            x = torch.diag(torch.tensor([value, rest], dtype=torch.float64))
            self.known[value] = self.stage.run(self.norm * x)["update"][0, 0].item()
        return self.known[value]


def _image(f: Map) -> tuple[float, float]:
    """The smallest and the largest value on [LOWEST, 1]; infinite where one is no number."""
    points = [LOWEST ** (1 - place / (POINTS - 1)) for place in range(POINTS)]
    values = [f(point) for point in points]
    if not all(map(math.isfinite, values)):
        return -math.inf, math.inf
    ends = []
    for sign in (1, -1):
        best = min(range(POINTS), key=lambda place: sign * values[place])
        around = points[max(0, best - 1)], points[min(POINTS - 1, best + 1)]
        ends.append(_extremum(f, *around, sign, values[best]))
    return ends[0], ends[1]


def _extremum(f: Map, low: float, high: float, sign: int, known: float) -> float:
    """The least of sign·f between two points, by sections in the golden ratio; `known` is a value that it takes."""
    ratio = (math.sqrt(5) - 1) / 2
    left, right = high - ratio * (high - low), low + ratio * (high - low)
    for _ in range(REFINEMENTS):
        if sign * f(left) < sign * f(right):
            high, right = right, left
            left = high - ratio * (high - low)
        else:
            low, left = left, right
            right = low + ratio * (high - low)
    return sign * min(sign * known, sign * f(left), sign * f(right))
