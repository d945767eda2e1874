"""Gives every named scalar of a program a name of its own, so that generated code can hold them side by side.

Rules are written apart: two of them may name different scalars alike, or as the spec names a hyper or a state. A scalar
that may have no value, such as a quotient, gets a name too: it is then computed before anything is changed.
"""

from __future__ import annotations

from dataclasses import replace

from muondsl.ir import program as ir
from muondsl.ir import scalar as sc
from muondsl.ir.rewrite import with_scalars


def name_scalars(program: ir.Program, reserved: frozenset[str]) -> ir.Program:
    """Adds a number to names that are taken: by `reserved`, by a hyper, by a state, or by another scalar."""
    naming = _Naming(reserved | _taken(program))
    definitions = tuple(
        replace(definition, operation=with_scalars(definition.operation, naming.hoisted))
        for definition in program.definitions
    )
    return replace(program, definitions=definitions)


def _taken(program: ir.Program) -> frozenset[str]:
    hypers = {
        symbol.name
        for definition in program.definitions
        for scalar in ir.scalars(definition.operation)
        for symbol in sc.symbols(scalar)
    }
    return frozenset(hypers | {state.name for state in program.states})


class _Naming:
    def __init__(self, taken: frozenset[str]) -> None:
        self.taken = set(taken)
        self.names: dict[tuple[str, sc.Scalar], str] = {}

    def hoisted(self, scalar: sc.Scalar) -> sc.Scalar:
        renamed = self.renamed(scalar)
        parts = list(sc.walk(renamed))
        is_repeated = any(isinstance(part, sc.Named) and part.is_coefficient for part in parts)
        if isinstance(renamed, sc.Named) or is_repeated or not _may_fail(renamed):
            return renamed
        return sc.Named(self._name("factor", renamed), renamed)

    def renamed(self, scalar: sc.Scalar) -> sc.Scalar:
        match scalar:
            case sc.Named(_, value, is_coefficient):
                inner = self.renamed(value)
                name = scalar.name if is_coefficient else self._name(scalar.name, inner)
                return sc.Named(name, inner, is_coefficient)
            case sc.Call(function, arguments):
                return sc.Call(function, tuple(self.renamed(argument) for argument in arguments))
            case _:
                return scalar

    def _name(self, wish: str, value: sc.Scalar) -> str:
        if (wish, value) not in self.names:
            base = f"value{wish}" if wish.startswith("__") else wish
            name, number = base, 1
            while name in self.taken:
                number += 1
                name = f"{base}_{number}"
            self.taken.add(name)
            self.names[wish, value] = name
        return self.names[wish, value]


def _may_fail(scalar: sc.Scalar) -> bool:
    """Whether something outside of named scalars divides, or is defined for some numbers only."""
    if not isinstance(scalar, sc.Call):
        return False
    return scalar.function in ("/", "**", "sqrt", "log") or any(_may_fail(part) for part in scalar.arguments)
