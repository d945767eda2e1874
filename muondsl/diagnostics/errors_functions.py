"""M03xx: what functions of matrices and of tables do not take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from muondsl.diagnostics.diagnostic import Diagnostic


@dataclass(frozen=True)
class NotSquare(Diagnostic):
    """`identity`, `trace` and `solve_lower` take matrices whose two dimensions are the same word, such as the product
    `x @ x'`.
    """

    code: ClassVar[str] = "M0322"
    function: str
    found: str

    def message(self) -> str:
        return f"`{self.function}` takes a square matrix"

    def label(self) -> str:
        return f"this is a {self.found} tensor"


@dataclass(frozen=True)
class BadQuantile(Diagnostic):
    """`quantile(x, level)` is the value below which the part `level` of all elements lies: 0 is the smallest element,
    1 the largest, 0.5 the median.
    """

    code: ClassVar[str] = "M0323"
    found: str

    def message(self) -> str:
        return "the level of a quantile must lie in [0, 1]"

    def label(self) -> str:
        return f"this is {self.found}"


@dataclass(frozen=True)
class BadTableArgument(Diagnostic):
    """A table of coefficients cannot be made from this number. `lower` is the smallest singular value that the table
    is made for, where the largest is 1; polynomials are divided by 1 + `safety`, or by `factor`, in their argument;
    none is made for an interval longer than from `cushion` times its end.
    """

    code: ClassVar[str] = "M0324"
    name: str
    found: str
    needed: str

    def message(self) -> str:
        return f"`{self.name}` must be {self.needed}"

    def label(self) -> str:
        return f"this is {self.found}"
