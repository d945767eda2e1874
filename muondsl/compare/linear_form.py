"""A tensor program in, each of its results as a sum of its inputs times scalars out, where it is one.

Element by element: `m ← β m + (1 − β) u` is one, a norm or a product of matrices is none. Exact: coefficients are the
scalars of the program, combined as its operations say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from muondsl.ir import program as ir
from muondsl.ir import scalar as sc
from muondsl.ir.types import MATRIX

if TYPE_CHECKING:
    from collections.abc import Mapping

Form = dict[str, sc.Scalar]
"""Coefficients by the names of inputs: `parameter`, `gradient`, and those of states. `1` is a constant."""

CONSTANT = "1"


def linear_forms(program: ir.Program) -> dict[str, Form | None]:
    """The forms of the results, by their targets; None where a result is no sum of inputs times scalars."""
    forms: dict[ir.Value, Form | None] = {}
    for definition in program.definitions:
        is_plain = definition.type.dims == MATRIX and not definition.type.dtype.is_mask
        forms[definition.value] = _form(definition.operation, forms) if is_plain else None
    return {result.target: forms[result.value] for result in program.results}


def _form(operation: ir.Operation, forms: Mapping[ir.Value, Form | None]) -> Form | None:
    match operation:
        case ir.Input(role, name):
            return {name if role == "state" else role: sc.ONE}
        case ir.Convert(operand):
            return forms[operand]
        case ir.Map(function, parts):
            known = [forms[part] if isinstance(part, str) else part for part in parts]
            return None if any(part is None for part in known) else _map(function, [p for p in known if p is not None])
        case ir.Choose(condition, then, otherwise):
            first, second = forms[then], forms[otherwise]
            if first is None or second is None:
                return None
            names = dict.fromkeys([*first, *second])
            return {
                name: sc.Call("if", (condition, first.get(name, sc.ZERO), second.get(name, sc.ZERO))) for name in names
            }
        case _:
            return None


def _map(function: str, parts: list[Form | sc.Scalar]) -> Form | None:
    match function, parts:
        case ("copy", [dict() as x]):
            return x
        case ("-", [dict() as x]):
            return _times(sc.Number("-1"), x)
        case ("full", [value, _]) if not isinstance(value, dict):
            return {CONSTANT: value}
        case ("+" | "-", [x, y]):
            right = _times(sc.Number("-1"), _as_form(y)) if function == "-" else _as_form(y)
            return _plus(_as_form(x), right)
        case ("*", [dict() as x, y]) if not isinstance(y, dict):
            return _times(y, x)
        case ("*", [x, dict() as y]) if not isinstance(x, dict):
            return _times(x, y)
        case ("/", [dict() as x, y]) if not isinstance(y, dict):
            return {name: sc.Call("/", (each, y)) for name, each in x.items()}
        case ("add_scaled", [x, y, weight]) if not isinstance(weight, dict):
            return _plus(_as_form(x), _times(weight, _as_form(y)))
        case ("lerp", [x, y, weight]) if not isinstance(weight, dict):
            rest = sc.Call("-", (sc.ONE, weight))
            return _plus(_times(rest, _as_form(x)), _times(weight, _as_form(y)))
        case _:
            return None


def _as_form(part: Form | sc.Scalar) -> Form:
    return part if isinstance(part, dict) else {CONSTANT: part}


def _times(factor: sc.Scalar, form: Form) -> Form:
    return {name: factor if each == sc.ONE else sc.Call("*", (factor, each)) for name, each in form.items()}


def _plus(left: Form, right: Form) -> Form:
    total = dict(left)
    for name, each in right.items():
        total[name] = sc.Call("+", (total[name], each)) if name in total else each
    return total
