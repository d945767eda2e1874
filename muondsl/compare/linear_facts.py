"""A linear stage in words and numbers: averages and sums of updates, multiples of them, coupled decay."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from muondsl.compare.fact import Fact
from muondsl.compare.finding import Factor
from muondsl.compare.monomial import letter, monomial
from muondsl.compare.probe_values import SHAPES, Hypers, replaced

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from muondsl.compare.recurrence import Recurrence
    from muondsl.ir.scalar import Symbol

WEIGHTS = "weights of the updates"
AGES = 5
MANY = 50
FIRST_STEPS = (1, 2, 20)
PROBES = (0.3, 0.55, 0.8)
"""Values of a hyper at which a formula must hold, inside of the ranges of decays and rates."""

EXPONENTS = (0, 1, -1)


def linear_facts(stage: Recurrence, hypers: Hypers) -> Iterator[Fact]:
    yield Fact("what it is", _kind(stage, hypers))
    weights = stage.weights(hypers, AGES) if stage.states else stage.weights(hypers, 1)
    ages = ["this step's", "one step ago", *(f"{age} steps ago" for age in range(2, AGES))]
    sizes = list(zip(ages, weights, strict=False))
    if stage.states:
        total = stage.gain(hypers)
        sizes += [("all together", math.inf if total is None else total)]
        sizes += [("first step's, in the first step", stage.weights(hypers, 1, step=1)[0])]
    yield Fact(WEIGHTS, "", tuple(sizes))
    if any(symbol.kind == "shape" for symbol in stage.symbols()):
        by_shape = tuple((f"{r} × {c}", stage.weights(hypers, 1, shape=(r, c))[0]) for r, c in SHAPES)
        yield Fact("weight of this step's update, by shape", "", by_shape)
    if added := stage.of_parameter(hypers):
        found = monomial(stage.of_parameter, hypers, stage.symbols())
        where = "in the average" if any("parameter" in stage.forms[name] for name in stage.states) else "in the result"
        yield Fact("the parameter in it", f"{found or f'{added:.6g}'} times the parameter is added, {where}")


def _kind(stage: Recurrence, hypers: Hypers) -> str:
    if not stage.states:
        weight = stage.weights(hypers, 1)[0]
        return "the update as it is" if weight == 1 else f"{weight:.6g} times the update"
    if len(stage.states) > 1:
        return f"a linear recurrence with {len(stage.states)} buffers"
    ((keep,),), (take,), (of_buffer,), direct = stage.system(hypers, 10**6)
    words = _buffer(keep, take) + _result(keep, take, of_buffer, direct)
    return words + _start(stage, hypers)


def _buffer(keep: float, take: float) -> str:
    if _near(take, 1 - keep):
        return f"a moving average m of the updates that keeps {keep:.6g} a step"
    if _near(take, 1):
        return f"a decaying sum m of the updates that keeps {keep:.6g} a step"
    return f"a buffer m ← {keep:.6g} m + {take:.6g} u"


def _result(keep: float, take: float, of_buffer: float, direct: float) -> str:
    """The result in terms of the new buffer."""
    if keep == 0:
        return f"; the result is {of_buffer:.6g} times the old m + {direct:.6g} u"
    of_new = of_buffer / keep
    of_update = direct - of_new * take
    if _near(of_new, 1) and _near(of_update, 0):
        return ""
    if _near(of_new, keep) and _near(of_update, take):
        return ", one step ahead: Nesterov's"
    if _near(of_new, 1 - keep) and _near(of_update, keep) and _near(take, 1 - keep):
        return ", Nesterov's step with its two weights exchanged"
    if _near(of_new, 1) and _near(of_update, 1):
        return ", added to the update"
    return f"; the result is {of_new:.6g} m + {of_update:.6g} u"


def _start(stage: Recurrence, hypers: Hypers) -> str:
    if not any(symbol.kind == "step" for symbol in stage.symbols()):
        return ""
    first, total = stage.weights(hypers, 1, step=1)[0], stage.gain(hypers)
    if total is not None and _near(first, total):
        return ", without bias from the first step on"
    return "; its weights change with the steps"


def _near(x: float, y: float) -> bool:
    return math.isclose(x, y, rel_tol=1e-9, abs_tol=1e-12)


def constant_factor(a: Recurrence, b: Recurrence, hypers_a: Hypers, hypers_b: Hypers) -> Factor | None:
    """The factor between two stages whose results are multiples of each other, in every step and for every update."""
    if not (a.begins_at_zero and b.begins_at_zero):
        return None
    pair = _proportion(a, b, hypers_a, hypers_b)
    if pair is None or pair[0] == pair[1] or _near(pair[1] / pair[0], 1) or pair[0] * pair[1] < 0:
        return None
    is_b = abs(pair[1]) > abs(pair[0])
    shared = [symbol for symbol in a.symbols() if symbol.kind == "hyper" and symbol in b.symbols()]
    formulas = (_formula(a, b, hypers_a, hypers_b, symbol, is_b=is_b) for symbol in shared)
    value = max(map(abs, pair)) / min(map(abs, pair))
    return Factor("B" if is_b else "A", value, next(filter(None, formulas), None))


def has_equal_weights(a: Recurrence, b: Recurrence, hypers_a: Hypers, hypers_b: Hypers) -> bool:
    """Whether the answers to updates of several steps are the same for many steps."""
    return all(map(_near, _profile(a, hypers_a, MANY), _profile(b, hypers_b, MANY)))


def _proportion(a: Recurrence, b: Recurrence, hypers_a: Hypers, hypers_b: Hypers) -> tuple[float, float] | None:
    """A weight of A's that is not zero and B's beside it, if all weights have the same proportion."""
    pairs = list(zip(_profile(a, hypers_a), _profile(b, hypers_b), strict=True))
    if any((x == 0) != (y == 0) for x, y in pairs):
        return None
    weights = [pair for pair in pairs if pair[0]]
    if not weights or any(not _near(x * weights[0][1], y * weights[0][0]) for x, y in weights):
        return None
    return weights[0]


def _profile(stage: Recurrence, hypers: Hypers, ages: int = AGES) -> Sequence[float]:
    late = [stage.weights(hypers, AGES, shape=shape) for shape in SHAPES]
    early = [stage.response(hypers, first, ages) for first in FIRST_STEPS]
    return [each for group in (*late, *early) for each in group] + [stage.of_parameter(hypers)]


def _formula(
    a: Recurrence, b: Recurrence, hypers_a: Hypers, hypers_b: Hypers, symbol: Symbol, *, is_b: bool
) -> str | None:
    """hⁱ(1 − h)ʲ(1 + h)ᵏ of a hyper h, if the ratio is that wherever h is."""
    measured = []
    for probe in PROBES:
        pair = _proportion(a, b, replaced(hypers_a, symbol, probe), replaced(hypers_b, symbol, probe))
        if pair is None:
            return None
        measured.append(pair[1] / pair[0] if is_b else pair[0] / pair[1])
    for i in EXPONENTS:
        for j in EXPONENTS:
            for k in EXPONENTS:
                expected = [h**i * (1 - h) ** j * (1 + h) ** k for h in PROBES]
                if (i, j, k) != (0, 0, 0) and all(map(_near, measured, expected)):
                    return _fraction(letter(str(symbol)), (i, j, k))
    return None


def _fraction(h: str, exponents: tuple[int, int, int]) -> str:
    parts = (h, f"(1 − {h})", f"(1 + {h})")
    above = "".join(part for part, exponent in zip(parts, exponents, strict=True) if exponent == 1)
    below = "".join(part for part, exponent in zip(parts, exponents, strict=True) if exponent == -1)
    if below.count("(") + below.startswith(h) > 1:
        below = f"({below})"
    return f"{above or 1}/{below}" if below else above
