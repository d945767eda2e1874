"""In what a state is measured: the recurrence that a program applies to it, where that is linear."""

from __future__ import annotations

from dataclasses import dataclass
from math import isclose

from muondsl.ir.scalar import Symbol


@dataclass(frozen=True, slots=True)
class Unit:
    """m ← keep·m + take·g + pull·θ, at one step, with the values that the hypers have. `reads` are the symbols of
    which the three are made.
    """

    keep: float
    take: float
    pull: float
    reads: frozenset[Symbol]

    @property
    def is_average(self) -> bool:
        return isclose(self.take, 1 - self.keep, rel_tol=1e-9, abs_tol=1e-15)

    @property
    def is_sum(self) -> bool:
        return isclose(self.take, 1, rel_tol=1e-9)

    @property
    def depends_on_step(self) -> bool:
        return any(symbol.kind == "step" for symbol in self.reads)

    @property
    def depends_on_shape(self) -> bool:
        return any(symbol.kind == "shape" for symbol in self.reads)

    def keeps_as(self, other: Unit) -> bool:
        return isclose(self.keep, other.keep, rel_tol=1e-9, abs_tol=1e-12)

    def __str__(self) -> str:
        form = " (an average)" if self.is_average else " (a sum)" if self.is_sum else ""
        return f"{self.keep:.6g}·m + {self.take:.6g}·g{form}"


@dataclass(frozen=True, slots=True)
class Factor:
    """A number, and the words for it. One leaves a state as it is, bit for bit."""

    value: float
    words: str = ""

    def __str__(self) -> str:
        return f"× {self.value:.6g}" + (f" = {self.words}" if self.words else "")


UNCHANGED = Factor(1.0)
