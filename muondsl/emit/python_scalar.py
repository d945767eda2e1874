"""Scalars as Python: literals as written, parentheses only where needed."""

from __future__ import annotations

from typing import assert_never

from muondsl.ir import scalar as sc

PRECEDENCE = {
    "if": 0,
    "or": 1,
    "and": 2,
    "not": 3,
    **dict.fromkeys(sc.COMPARISONS, 4),
    "+": 5,
    "-": 5,
    "*": 6,
    "/": 6,
    "negative": 7,
    "**": 8,
}
ATOM = 9
CALLS = {
    "sqrt": "math.sqrt",
    "exp": "math.exp",
    "log": "math.log",
    "tanh": "math.tanh",
    "floor": "math.floor",
    "abs": "abs",
    "min": "min",
    "max": "max",
}


def to_python(scalar: sc.Scalar, *, around: int = 0, unroll: bool = True) -> str:
    """The scalar as an expression that may stand in one of precedence `around`. With `unroll` false a loop's
    coefficient is printed as its variable, not as its value.
    """
    text, own = _print(scalar, unroll=unroll)
    return text if own >= around else f"({text})"


def _print(scalar: sc.Scalar, *, unroll: bool) -> tuple[str, int]:
    match scalar:
        case sc.Number(text):
            return _literal(text), PRECEDENCE["negative"] if text.startswith("-") else ATOM
        case sc.Flag(value):
            return str(value), ATOM
        case sc.Symbol():
            return str(scalar), ATOM
        case sc.Named(name, value, is_coefficient):
            return _print(value, unroll=unroll) if is_coefficient and unroll else (name, ATOM)
        case sc.NameMatches(patterns):
            return f"parameter.named({', '.join(quoted(pattern) for pattern in patterns)})", ATOM
        case sc.HasRole(roles):
            return f"parameter.has_role({', '.join(quoted(role) for role in roles)})", ATOM
        case sc.Call():
            return _call(scalar, unroll=unroll)
        case _:
            assert_never(scalar)


def _call(call: sc.Call, *, unroll: bool) -> tuple[str, int]:
    def part(index: int, around: int) -> str:
        return to_python(call.arguments[index], around=around, unroll=unroll)

    function = call.function
    if function == "if":
        return f"{part(1, 1)} if {part(0, 1)} else {part(2, 0)}", PRECEDENCE["if"]
    if function == "not":
        return f"not {part(0, PRECEDENCE['not'])}", PRECEDENCE["not"]
    if function == "-" and len(call.arguments) == 1:
        return f"-{part(0, PRECEDENCE['negative'])}", PRECEDENCE["negative"]
    if function == "**":
        base = part(0, ATOM)  # an integer base would be raised exactly, to numbers of any length
        return f"{base}{'.0' if base.isdigit() else ''}**{part(1, PRECEDENCE['negative'])}", PRECEDENCE["**"]
    if function in PRECEDENCE:
        own = PRECEDENCE[function]
        left = own + 1 if function in sc.COMPARISONS else own
        return f"{part(0, left)} {function} {part(1, own + 1)}", own
    if function == "sign":
        return f"({part(0, 5)} > 0) - ({part(0, 5)} < 0)", PRECEDENCE["-"]
    if function == "lerp":
        start, end, weight = (part(index, ATOM) for index in range(3))
        forward, backward = f"{start} + {weight} * ({end} - {start})", f"{end} - ({end} - {start}) * (1 - {weight})"
        return f"{forward} if abs({weight}) < 0.5 else {backward}", PRECEDENCE["if"]
    arguments = ", ".join(part(index, 0) for index in range(len(call.arguments)))
    return f"{CALLS[function]}({arguments})", ATOM


def _literal(text: str) -> str:
    """The literal in Python's spelling. Integers that float64 may not hold are floats: tensors take no others."""
    sign = "-" if text.startswith("-") else ""
    digits = text[len(sign) :]
    is_integer = digits.isdigit()
    stripped = digits.lstrip("0") if is_integer else digits
    is_large = is_integer and int(stripped or "0") > sc.LARGEST_INTEGER
    return f"{sign}{stripped or '0'}{'.0' if is_large else ''}"


def quoted(text: str) -> str:
    """A Python string literal in double quotes where possible; nothing in `text` can end it."""
    literal = repr(text)
    if literal.startswith("'") and '"' not in literal:
        return f'"{literal[1:-1]}"'
    return literal
