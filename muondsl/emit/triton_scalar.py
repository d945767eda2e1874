"""Scalars as Triton, computed in fp64 by one program for each matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from muondsl.emit.python_scalar import ATOM, PRECEDENCE, to_python
from muondsl.ir import scalar as sc

if TYPE_CHECKING:
    from collections.abc import Mapping

CALLS = {
    "sqrt": "tl.sqrt",
    "exp": "tl.exp",
    "log": "tl.log",
    "tanh": "tanh",
    "floor": "tl.floor",
    "abs": "tl.abs",
    "sign": "sign",
    "lerp": "lerp",
    "**": "power",
    "if": "tl.where",
}
INFIX = {"and": "&", "or": "|"}
LONGEST_INTEGER = 9
"""Digits of an integer that surely fits into 32 bits."""


def to_triton(scalar: sc.Scalar, names: Mapping[str, str], around: int = 0) -> str:
    """The scalar as an expression of fp64 numbers. `names` are the kernel's own names of hypers and dimensions."""
    text, own = _print(scalar, names)
    return text if own >= around else f"({text})"


def _print(scalar: sc.Scalar, names: Mapping[str, str]) -> tuple[str, int]:
    match scalar:
        case sc.Number(text):
            return f"double({_literal(text)})", ATOM
        case sc.Flag(value):
            return f"double({int(value)}) == 1", 4
        case sc.Symbol():
            return names.get(str(scalar), str(scalar)), ATOM
        case sc.Named(name, value, is_coefficient):
            return _print(value, names) if is_coefficient else (names.get(name, name), ATOM)
        case sc.NameMatches() | sc.HasRole():
            raise AssertionError("names of parameters are known to routes alone")
        case sc.Call():
            return _call(scalar, names)
        case _:
            assert_never(scalar)


def _literal(text: str) -> str:
    """The literal in Python's spelling; one that kernels would take for an integer of 64 bits as a float."""
    spelled = to_python(sc.Number(text))
    return f"{spelled}.0" if len(spelled) > LONGEST_INTEGER and spelled.removeprefix("-").isdigit() else spelled


def _call(call: sc.Call, names: Mapping[str, str]) -> tuple[str, int]:
    function, count = call.function, len(call.arguments)
    is_infix = count == 2 and function in ("+", "-", "*", "/", *sc.COMPARISONS)
    has_literals_only = all(isinstance(each, sc.Number) for each in call.arguments)

    def part(index: int, around: int) -> str:
        argument = call.arguments[index]
        if isinstance(argument, sc.Number) and is_infix and not has_literals_only:
            return _literal(argument.text)  # beside a number in fp64 a literal keeps its digits
        return to_triton(argument, names, around)

    if function == "-" and count == 1:
        return f"-{part(0, PRECEDENCE['negative'])}", PRECEDENCE["negative"]
    if function == "not":
        return f"({part(0, 0)}) == 0", 4
    if function in INFIX:
        return f"({part(0, 0)}) {INFIX[function]} ({part(1, 0)})", 3
    if function in ("min", "max"):
        text = part(0, 0)
        for index in range(1, count):
            text = f"{function}imum({text}, {part(index, 0)})"
        return text, ATOM
    if function in CALLS:
        return f"{CALLS[function]}({', '.join(part(index, 0) for index in range(count))})", ATOM
    own = PRECEDENCE[function]
    left = own + 1 if function in sc.COMPARISONS else own
    return f"{part(0, left)} {function} {part(1, own + 1)}", own
