"""The forms of a quintic iteration x ← a x + (b s + c s s) x, s = x xᵀ, as lists of matrix products.

In: coefficients, and after how many steps x itself is formed anew. Out: operations on named matrices, each name
written once. Nothing here knows sizes, addresses or devices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

Kind = Literal["outer", "square", "apply"]
Coefficients = tuple[float, float, float]

SOURCE = "x0"


@dataclass(frozen=True, slots=True)
class Operation:
    """out ← (alpha · left right + beta · addend) / divisor^divisions + gamma · I, rounded once.

    `outer`: x xᵀ of the panel x, named as left and as right. `square`: the product of two symmetric matrices that
    commute, so that it is symmetric too. `apply`: a symmetric matrix times a panel.
    """

    kind: Kind
    out: str
    left: str
    right: str
    addend: str | None = None
    alpha: float = 1.0
    beta: float = 0.0
    gamma: float = 0.0
    divisions: int = 0

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.left, self.right) if self.addend is None else (self.left, self.right, self.addend)

    @property
    def is_panel(self) -> bool:
        """Whether `out` is as long as x; else it is square."""
        return self.kind == "apply"

    def __str__(self) -> str:
        def term(coefficient: float, factors: str) -> str:
            return factors if coefficient == 1.0 else f"{coefficient:.4g} {factors}"

        text = term(self.alpha, f"{self.left} {self.right}{'ᵀ' if self.kind == 'outer' else ''}")
        if self.addend is not None:
            text = f"{term(self.beta, self.addend)} + {text}"
        if self.divisions:
            divisor = "d" if self.divisions == 1 else "d²"
            text = f"{text} / {divisor}" if self.addend is None else f"({text}) / {divisor}"
        if self.gamma:
            text = f"{self.gamma:.4g} I + {text}"
        return f"{self.out} ← {text}"


class _Names:
    """A letter for each part, and a number behind it."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def fresh(self, letter: str) -> str:
        self._numbers[letter] = self._numbers.get(letter, 0) + 1
        return f"{letter}{self._numbers[letter]}"


def steps_to_products(
    coefficients: Sequence[Coefficients], starts: Sequence[int], *, folds_diagonal: bool = True
) -> tuple[Operation, ...]:
    """The operations of an iteration in which x is formed anew before each step of `starts`, and after the last step.

    A segment of one step is the step itself. A longer one multiplies polynomials of s = x xᵀ and touches x twice.
    The divisor is that of the first x: its square divides the first x xᵀ, and itself the first new x. With
    `folds_diagonal` a step's a is added to the diagonal of its polynomial before that is rounded.
    """
    names = _Names()
    operations: list[Operation] = []
    x = SOURCE
    bounds = sorted({0, *(start for start in starts if 0 < start < len(coefficients))})
    for begin, end in pairwise((*bounds, len(coefficients))):
        segment = coefficients[begin:end]
        divisions = 1 if begin == 0 else 0
        s = names.fresh("s")
        operations.append(Operation("outer", s, x, x, divisions=2 * divisions))
        step = _joined_steps if len(segment) > 1 else _folded_step if folds_diagonal else _step
        operations += step(names, segment, s, x, names.fresh("x"), divisions)
        x = operations[-1].out
    return tuple(operations)


def _step(names: _Names, segment: Sequence[Coefficients], s: str, x: str, out: str, divisions: int) -> list[Operation]:
    """x ← a x + p x with p = b s + c s s; a cubic step has no product of its own for p = b s."""
    ((a, b, c),) = segment
    if c == 0:
        return [Operation("apply", out, s, x, addend=x, alpha=b, beta=a, divisions=divisions)]
    p = names.fresh("p")
    return [
        Operation("square", p, s, s, addend=s, alpha=c, beta=b),
        Operation("apply", out, p, x, addend=x, beta=a, divisions=divisions),
    ]


def _folded_step(
    names: _Names, segment: Sequence[Coefficients], s: str, x: str, out: str, divisions: int
) -> list[Operation]:
    """x ← z x with z = a I + b s + c s s. The long product reads no addend."""
    ((a, b, c),) = segment
    if c == 0:
        return _step(names, segment, s, x, out, divisions)
    z = names.fresh("z")
    return [
        Operation("square", z, s, s, addend=s, alpha=c, beta=b, gamma=a),
        Operation("apply", out, z, x, divisions=divisions),
    ]


def _joined_steps(
    names: _Names, segment: Sequence[Coefficients], s: str, x: str, out: str, divisions: int
) -> list[Operation]:
    """x ← q x with q = zₖ … z₂ z₁, zᵢ = aᵢ I + pᵢ, where pᵢ = bᵢ s + cᵢ s s of the s after i − 1 steps, s ← z s z.

    The diagonal is added to z₂ alone, where q is formed for the first time: q = z₂ p₁ + a₁ z₂. Elsewhere a multiplies
    an addend, so that what is rounded, p, has no large diagonal: its rounding is the same along all of a constant
    diagonal and would add up.
    """
    operations: list[Operation] = []

    def square(
        letter: str,
        left: str,
        right: str,
        addend: str | None,
        *,
        alpha: float = 1.0,
        beta: float = 0.0,
        gamma: float = 0.0,
    ) -> str:
        operations.append(Operation("square", names.fresh(letter), left, right, addend, alpha, beta, gamma))
        return operations[-1].out

    (a, b, c), *others = segment
    # The polynomial of a step is what is stored and `missing` times I.
    polynomial, missing = square("p", s, s, s, alpha=c, beta=b), a
    q = polynomial
    for index, (a, b, c) in enumerate(others):
        # s ← z s z of the step before, in two products.
        for letter in ("w", "s"):
            s = square(letter, polynomial, s, s if missing else None, beta=missing)
        if index == 0:
            polynomial = square("z", s, s, s, alpha=c, beta=b, gamma=a)
            q = square("q", polynomial, q, polynomial, beta=missing)
            missing = 0.0
        else:
            polynomial, missing = square("p", s, s, s, alpha=c, beta=b), a
            q = square("q", polynomial, q, q, beta=missing)
    operations.append(Operation("apply", out, q, x, divisions=divisions))
    return operations
