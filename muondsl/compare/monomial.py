"""A function of hypers in, the product of their powers that it is out, where it is one: 2 η λ."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from muondsl.compare.probe_values import Hypers, replaced
from muondsl.emit.mathematics import LETTERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from muondsl.ir.scalar import Symbol

TOLERANCE = 1e-9
SHRINKINGS = (0.5, 0.25)
"""A hyper times these is still in its range: ranges of factors and rates reach down to zero."""


@dataclass(frozen=True, slots=True)
class Monomial:
    factor: float
    powers: tuple[tuple[str, float], ...]

    def __str__(self) -> str:
        parts = [letter(name) + ("" if power == 1 else f"^{power:g}") for name, power in self.powers]
        is_shown = not parts or abs(self.factor - 1) > TOLERANCE
        return " ".join([f"{self.factor:.6g}", *parts] if is_shown else parts)


def in_order(symbols: Iterable[Symbol]) -> list[Symbol]:
    """The learning rate first and the scale last, wherever a program reads them."""
    return sorted(symbols, key=lambda symbol: (symbol.name != "lr", symbol.name == "scale", str(symbol)))


def letter(name: str) -> str:
    return LETTERS.get(name, name)


def monomial(function: Callable[[Hypers], float], hypers: Hypers, symbols: Iterable[Symbol]) -> Monomial | None:
    """The product that the function is near these hypers, found by shrinking one after the other; None where it is
    none.
    """
    value = function(hypers)
    if value == 0 or not math.isfinite(value):
        return None
    factor, powers = value, []
    for symbol in in_order(symbols):
        if symbol.kind != "hyper":
            return None
        old = hypers[symbol.name]
        number = old[symbol.index] if isinstance(old, tuple) and symbol.index is not None else old
        assert not isinstance(number, tuple)
        ratios = [function(replaced(hypers, symbol, number * shrinking)) / value for shrinking in SHRINKINGS]
        if number == 0 or any(ratio <= 0 or not math.isfinite(ratio) for ratio in ratios):
            return None
        found = [math.log(ratio, shrinking) for ratio, shrinking in zip(ratios, SHRINKINGS, strict=True)]
        power = round(found[0] * 12) / 12
        if any(abs(each - power) > TOLERANCE for each in found):
            return None
        if power:
            powers.append((str(symbol), power))
            factor /= number**power
    return Monomial(factor, tuple(powers))
