"""Coefficient tables that are computed while compiling, in float64: rows (a, b, c) of x ← ax + bx³ + cx⁵ on singular
values, or (a, b) of cubics. A table is part of a spec's identity: only operations that every machine rounds alike, so
no powers.
"""

from __future__ import annotations

import math

Row = tuple[float, ...]

NEARLY_ONE = 1 - 5e-6
"""Above this ratio of the smallest to the largest singular value the best quintic is, in float64, its limit."""

ROUNDS = 100
"""Remez's iteration settles in a handful."""


def polar_express(lower: float, steps: int, safety: float, cushion: float) -> tuple[Row, ...]:
    """The quintics that one after the other bring [lower, 1] nearest to one. Each is divided by 1 + safety in x, the
    last apart; none is made for an interval longer than from cushion times its end. arXiv:2505.16932, algorithm 1.
    """
    rows: list[Row] = []
    upper = 1.0
    for step in range(steps):
        a, b, c = _best_quintic(max(lower, cushion * upper), upper)
        if cushion * upper > lower:  # both ends of the true interval move equally far from one
            factor = 2 / (_quintic(a, b, c, lower) + _quintic(a, b, c, upper))
            a, b, c = a * factor, b * factor, c * factor
        if step < steps - 1:
            a, b, c = scaled((a, b, c), 1 + safety)
        rows.append((a, b, c))
        lower = _quintic(a, b, c, lower)
        upper = 2 - lower
    return tuple(rows)


def cans(lower: float, steps: int) -> tuple[Row, ...]:
    """The cubics (a, b) that one after the other bring [lower, 1] nearest to one. arXiv:2506.10935"""
    rows: list[Row] = []
    upper = 1.0
    for _ in range(steps):
        square = (lower * lower + lower * upper + upper * upper) / 3
        peak, end = 2 * square * math.sqrt(square), lower * upper * (lower + upper)
        factor = 6 / (peak + end)
        rows.append((factor * square, -factor / 3))
        error = max(0.0, (peak - end) / (peak + end))
        lower, upper = 1 - error, 1 + error
    return tuple(rows)


def scaled(row: Row, factor: float) -> Row:
    """The coefficients of p(x / factor), where p(x) = row[0]·x + row[1]·x³ + …"""
    divisor = 1.0
    done = []
    for place, coefficient in enumerate(row):
        divisor *= factor * factor if place else factor
        done.append(coefficient / divisor)
    return tuple(done)


def _quintic(a: float, b: float, c: float, x: float) -> float:
    square = x * x
    return x * (a + square * (b + square * c))


def _best_quintic(lower: float, upper: float) -> tuple[float, float, float]:
    """The odd quintic nearest to one on [lower, upper], by Remez's exchange of the two inner points."""
    if lower / upper >= NEARLY_ONE:
        a, b, c = scaled((15 / 8, -10 / 8, 3 / 8), upper)
        return a, b, c
    one, two = (3 * lower + upper) / 4, (lower + 3 * upper) / 4
    a = b = c = 0.0
    error = math.inf
    for _ in range(ROUNDS):
        before = error
        points = (lower, one, two, upper)
        rows = [[x, x * x * x, x * x * x * x * x, 1.0 - 2 * (place % 2), 1.0] for place, x in enumerate(points)]
        a, b, c, error = _solved(rows)
        if abs(before - error) <= 1e-15:
            break
        root = math.sqrt(9 * b * b - 20 * a * c)
        one, two = math.sqrt((-3 * b - root) / (10 * c)), math.sqrt((-3 * b + root) / (10 * c))
    return a, b, c


def _solved(rows: list[list[float]]) -> list[float]:
    """The solution of linear equations, each a row with its right side last, by elimination with row exchanges."""
    size = len(rows)
    for place in range(size):
        pivot = max(range(place, size), key=lambda row: abs(rows[row][place]))
        rows[place], rows[pivot] = rows[pivot], rows[place]
        for row in range(place + 1, size):
            factor = rows[row][place] / rows[place][place]
            rows[row] = [x - factor * y for x, y in zip(rows[row], rows[place], strict=True)]
    found = [0.0] * size
    for place in reversed(range(size)):
        rest = sum(rows[place][column] * found[column] for column in range(place + 1, size))
        found[place] = (rows[place][size] - rest) / rows[place][place]
    return found
