"""The algorithm as mathematics: what the docstring of a generated file shows, printed from the typed program.

Letters are those of `docs/language.md`; what has no letter keeps its name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from muondsl.check import typed
from muondsl.ir import scalar as sc

if TYPE_CHECKING:
    from collections.abc import Iterator

LETTERS = {
    "lr": "η",
    "momentum": "μ",
    "weight_decay": "λ",
    "beta1": "β₁",
    "beta2": "β₂",
    "betas[0]": "β₁",
    "betas[1]": "β₂",
    "eps": "ε",
    "step": "t",
    "rows": "r",
    "cols": "c",
    "parameter": "θ",
    "gradient": "g",
    "update": "u",
    "momentum_buffer": "m",
    "second_momentum_buffer": "v",
    "exp_avg": "m",
    "exp_avg_sq": "v",
    "scale": "κ",
}
SUM, PRODUCT, NEGATIVE, POWER, ATOM = 1, 2, 3, 4, 5
COMPARISON = 0
SIGNS = {"<": "<", "<=": "≤", ">": ">", ">=": "≥", "==": "=", "!=": "≠", "and": "∧", "or": "∨"}
Operand = typed.Tensor | sc.Scalar


def mathematics(update: typed.Update) -> list[str]:
    """The lines of an update, from `u ← g` to the new parameter."""
    lines = ["u ← g"]
    projection = next((stage for stage in update.stages if stage.name == "project"), None)
    for stage in (each for each in update.stages if each is not projection):
        lines += list(_statements(stage.statements, ""))
        if stage.name == "scale" and isinstance(update.scale, sc.Named):
            lines.append(f"κ ← {_text(update.scale.value)}")
    size = "" if update.scale == sc.ONE else f" {_text(update.scale, PRODUCT)}"
    step = f"θ ← θ − η{size} u"
    lines += [step, *_statements(projection.statements, "")] if projection else [step]
    named = dict.fromkeys(part for each in typed.scalars(update) for part in sc.named(each))
    where = [f"{_letter(part.name)} ← {_text(part.value)}" for part in named if part.name != "scale"]
    return [*(_state(state) for state in update.states), *where, *lines]


def _state(state: typed.State) -> str:
    name = state.variable.name
    letter = "" if _letter(name) == name else f"{_letter(name)} = "
    start = state.initial if isinstance(state.initial, str) else _text(state.initial)
    return f"state {letter}{name}, in {state.format or 'the format of θ'}, at first {_letter(start)}"


def formula(node: Operand) -> str:
    """One expression."""
    return _text(node)


def stage_mathematics(stage: typed.Stage) -> list[str]:
    """The lines of one stage, behind those of the scalars that have names in it; none of its states."""
    named = dict.fromkeys(part for each in typed.scalars(typed.Update((stage,), (), sc.ONE)) for part in sc.named(each))
    where = [f"{_letter(part.name)} ← {_text(part.value)}" for part in named if part.name != "scale"]
    return [*where, *_statements(stage.statements, "")]


def statement_mathematics(stage: typed.Stage) -> Iterator[tuple[str, str]]:
    """The place of each statement with its formula."""
    yield from _placed(stage.statements)


def _placed(statements: tuple[typed.Statement, ...]) -> Iterator[tuple[str, str]]:
    for statement in statements:
        if isinstance(statement, typed.Loop):
            yield from _placed(statement.body)
        else:
            yield statement.span.place, f"{_letter(statement.variable.name)} ← {_text(statement.value)}"


def _statements(statements: tuple[typed.Statement, ...], indent: str) -> Iterator[str]:
    for statement in statements:
        if isinstance(statement, typed.Loop):
            yield f"{indent}{len(statement.items)} times{_numbers(statement)}:"
            yield from _statements(statement.body, indent + "    ")
        else:
            left, right = _letter(statement.variable.name), _text(statement.value)
            if left != right:
                yield f"{indent}{left} ← {right}{_format(statement.value)}"


def _numbers(loop: typed.Loop) -> str:
    """The loop's variables; nothing where its body reads none."""
    read = {symbol for each in typed.scalars_of_statement(loop) for symbol in sc.symbols(each)}
    names = ", ".join(symbol.name.partition(".")[0] for symbol in loop.symbols)
    return f", with the next ({names})" if read & set(loop.symbols) else ""


def _format(tensor: typed.Tensor) -> str:
    """The number format that a statement is computed in, where an `in` block says so."""
    formats = {part.format: None for part in typed.walk(tensor) if isinstance(part, typed.Convert)}
    return f"   [{', '.join(formats)}]" if formats else ""


def _letter(name: str) -> str:
    return LETTERS.get(name, name)


def _text(node: Operand, around: int = COMPARISON) -> str:
    text, own = _print(node)
    return text if own >= around else f"({text})"


def _print(node: Operand) -> tuple[str, int]:
    match node:
        case sc.Number(text):
            return text.replace("-", "−", 1) if text.startswith("-") else text, ATOM if text[0] != "-" else NEGATIVE
        case sc.Flag() | sc.NameMatches() | sc.HasRole():
            return str(node), ATOM
        case sc.Symbol():
            name = str(node)
            return _letter(name.partition(".")[0] if node.kind == "loop" else name), ATOM
        case sc.Named(name, _):
            return _letter(name), ATOM
        case typed.Read(variable):
            return _letter(variable.name), ATOM
        case typed.Convert(operand, _):
            return _print(operand)
        case typed.Transposed(operand):
            return f"{_text(operand, ATOM)}ᵀ", ATOM
        case typed.Product(left, right):
            return f"{_text(left, POWER if _is_of_elements(left) else PRODUCT)} {_text(right, POWER)}", PRODUCT
        case typed.Reduce():
            return _reduction(node)
        case typed.Whole():
            return _whole(node)
        case typed.Choose(condition, then, otherwise):
            return f"{_text(then, SUM)} if {_text(condition)} else {_text(otherwise, SUM)}", COMPARISON - 1
        case sc.Call(function, arguments):
            return _function(function, arguments)
        case typed.Elementwise(function, operands):
            return _function(function, operands, is_elementwise=_count_tensors(operands) > 1)
        case _:
            assert_never(node)


def _count_tensors(operands: tuple[Operand, ...]) -> int:
    """Tensors that are more than one number: between these a product is one of elements."""
    return sum(isinstance(operand, typed.Tensor) and str(operand.dims) != "[1, 1]" for operand in operands)


def _is_of_elements(node: Operand) -> bool:
    """Whether a product is printed with ⊙, which a product of matrices must not follow."""
    return isinstance(node, typed.Elementwise) and node.function == "*" and _count_tensors(node.operands) > 1


def _reduction(node: typed.Reduce) -> tuple[str, int]:
    if node.function == "norm" and node.axis is None:
        return f"‖{_text(node.operand)}‖", ATOM
    over = f" over {node.axis}" if node.axis else ""
    return f"{node.function}({_text(node.operand)}{over})", ATOM


def _whole(node: typed.Whole) -> tuple[str, int]:
    operands = node.operands
    match node.function:
        case "identity":
            return "I", ATOM
        case "trace":
            return f"tr({_text(operands[0])})", ATOM
        case "solve_lower":
            return f"tril({_text(operands[0])})⁻¹ {_text(operands[1], POWER)}", PRODUCT
        case "svd_left" | "svd_values" | "svd_right" as part:
            letter = {"svd_left": "U", "svd_values": "Σ", "svd_right": "Vᵀ"}[part]
            return f"{letter} of svd({_text(operands[0])})", SUM
        case function:
            return f"{function}({', '.join(_text(operand) for operand in operands)})", ATOM


def _function(function: str, operands: tuple[Operand, ...], *, is_elementwise: bool = False) -> tuple[str, int]:
    if function == "if":
        return f"{_text(operands[1], SUM)} if {_text(operands[0])} else {_text(operands[2], SUM)}", COMPARISON - 1
    if function == "lerp":
        return _lerp(*operands)
    if function == "-" and len(operands) == 1:
        return f"−{_text(operands[0], NEGATIVE)}", NEGATIVE
    if function in ("+", "-"):
        sign = "+" if function == "+" else "−"
        return f"{_text(operands[0], SUM)} {sign} {_text(operands[1], PRODUCT)}", SUM
    if function == "*":
        times = " ⊙ " if is_elementwise else " "
        return f"{_text(operands[0], PRODUCT)}{times}{_text(operands[1], NEGATIVE)}", PRODUCT
    if function == "/":
        return f"{_text(operands[0], PRODUCT)} / {_text(operands[1], POWER)}", PRODUCT
    if function == "**":
        return f"{_text(operands[0], ATOM)}^{_text(operands[1], ATOM)}", POWER
    if function == "sqrt":
        return f"√{_text(operands[0], ATOM)}", ATOM
    if function == "not":
        return f"¬{_text(operands[0], ATOM)}", NEGATIVE
    if function in SIGNS:
        return f"{_text(operands[0], SUM)} {SIGNS[function]} {_text(operands[1], SUM)}", COMPARISON
    if function == "full":
        return _print(operands[0])
    return f"{function}({', '.join(_text(operand) for operand in operands)})", ATOM


def _lerp(start: Operand, end: Operand, weight: Operand) -> tuple[str, int]:
    """(1 − w)·start + w·end, with 1 − (1 − β) written as β."""
    match weight:
        case sc.Call("-", (sc.Number("1"), rest)):
            return f"{_text(rest, PRODUCT)} {_text(start, PRODUCT)} + ({_text(weight)}) {_text(end, PRODUCT)}", SUM
    kept = f"(1 − {_text(weight, PRODUCT)})"
    return f"{kept} {_text(start, PRODUCT)} + {_text(weight, PRODUCT)} {_text(end, PRODUCT)}", SUM
