"""Simplifies scalars with SymPy: `(1 - (1 - momentum))` becomes `momentum`. Changes the last bit, so only for `fast`.

SymPy proposes: the simpler form is taken only where it has fewer operations, and literals stand as symbols meanwhile,
so that their digits come back as they were written. Named scalars keep their names; what they stand for is simplified.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from muondsl.ir import scalar as sc
from muondsl.ir.rewrite import with_scalars

if TYPE_CHECKING:
    from collections.abc import Iterator

    from muondsl.ir import program as ir

ARITHMETIC = {"+", "-", "*", "/", "**", "sqrt"}
MAXIMUM_SIZE = 24
"""Scalars with more parts are left as they are. Higher powers than the fourth stand as symbols: SymPy expands them."""


def simplify_host_scalars(program: ir.Program) -> ir.Program:
    definitions = tuple(
        replace(definition, operation=with_scalars(definition.operation, _simplified))
        for definition in program.definitions
    )
    return replace(program, definitions=definitions)


@cache
def _simplified(scalar: sc.Scalar) -> sc.Scalar:
    match scalar:
        case sc.Named(_, value):
            return replace(scalar, value=_simplified(value))
        case sc.Call(function, arguments):
            scalar = sc.Call(function, tuple(_simplified(argument) for argument in arguments))
    if not _can_gain(scalar):
        return scalar
    import sympy

    translation = _Translation()
    simple = sympy.cancel(translation.to_sympy(scalar))
    found = translation.from_sympy(simple)
    return found if found is not None and _size(found) < _size(scalar) else scalar


def _can_gain(scalar: sc.Scalar) -> bool:
    """Whether something occurs twice, or nothing at all does, in plain arithmetic: else there is nothing to cancel."""
    parts = list(_parts(scalar))
    leaves = [str(part) for part in parts if isinstance(part, sc.Symbol | sc.Number | sc.Named)]
    is_plain = all(part.function in ARITHMETIC for part in parts if isinstance(part, sc.Call))
    return is_plain and len(parts) <= MAXIMUM_SIZE and (len(set(leaves)) < len(leaves) or "0" in leaves)


def _parts(scalar: sc.Scalar) -> Iterator[sc.Scalar]:
    """The scalar and what is inside it; a named one counts as one part."""
    yield scalar
    if isinstance(scalar, sc.Call):
        for argument in scalar.arguments:
            yield from _parts(argument)


def _size(scalar: sc.Scalar) -> int:
    return sum(1 for _ in _parts(scalar))


class _Translation:
    """Between scalars and SymPy, through symbols `q0`, `q1`, … for all that SymPy must not look into."""

    def __init__(self) -> None:
        self.leaves: dict[sc.Scalar, Any] = {}

    def to_sympy(self, scalar: sc.Scalar) -> Any:
        import sympy

        match scalar:
            case sc.Number(text) if text.isdigit():
                return sympy.Integer(text)
            case sc.Call("sqrt", (operand,)):
                return sympy.sqrt(self.to_sympy(operand))
            case sc.Call("-", (operand,)):
                return -self.to_sympy(operand)
            case sc.Call("**", (base, sc.Number(text))) if text in ("2", "3", "4"):
                return self.to_sympy(base) ** int(text)
            case sc.Call("+" | "-" | "*" | "/" as sign, (left, right)):
                return _ARITHMETIC[sign](self.to_sympy(left), self.to_sympy(right))
            case _:
                name = f"q{len(self.leaves)}"
                return self.leaves.setdefault(scalar, sympy.Symbol(name, positive=_is_positive(scalar), real=True))

    def from_sympy(self, expression: Any) -> sc.Scalar | None:
        """The scalar, with terms and factors in the order of first appearance; None for what is not arithmetic."""
        if expression.is_Integer:
            number = sc.Number(str(abs(int(expression))))
            return sc.Call("-", (number,)) if expression < 0 else number
        for leaf, symbol in self.leaves.items():
            if expression == symbol:
                return leaf
        if expression.is_Add:
            return self._sum(self._ordered(expression.args))
        if expression.is_Mul:
            return self._product(expression)
        if expression.is_Pow:
            base, exponent = (self.from_sympy(argument) for argument in expression.args)
            return sc.Call("**", (base, exponent)) if base and exponent else None
        return None

    def _ordered(self, terms: tuple[Any, ...]) -> list[Any]:
        places = {symbol: place for place, symbol in enumerate(self.leaves.values())}

        def first(term: Any) -> tuple[int, str]:
            return min((places[symbol] for symbol in term.free_symbols), default=-1), str(term)

        return sorted(terms, key=first)

    def _sum(self, terms: list[Any]) -> sc.Scalar | None:
        terms = sorted(terms, key=lambda term: term.could_extract_minus_sign())
        total = self.from_sympy(terms[0])
        for term in terms[1:]:
            sign = "-" if term.could_extract_minus_sign() else "+"
            part = self.from_sympy(-term if sign == "-" else term)
            total = sc.Call(sign, (total, part)) if total and part else None
        return total

    def _product(self, expression: Any) -> sc.Scalar | None:
        numerator, denominator = expression.as_numer_denom()
        if denominator != 1:
            above, below = self.from_sympy(numerator), self.from_sympy(denominator)
            return sc.Call("/", (above, below)) if above and below else None
        factors = [self.from_sympy(factor) for factor in self._ordered(expression.args)]
        product = factors[0]
        for factor in factors[1:]:
            product = sc.Call("*", (product, factor)) if product and factor else None
        return product


_ARITHMETIC: dict[str, Any] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
}


def _is_positive(scalar: sc.Scalar) -> bool:
    return isinstance(scalar, sc.Symbol) and scalar.kind in ("shape", "step")
