"""Programs as text, one definition a line: what `muondsl show` prints, what tests read, and what fingerprints hash."""

from __future__ import annotations

from typing import TYPE_CHECKING

from muondsl.ir import program as ir

if TYPE_CHECKING:
    from collections.abc import Mapping

    from muondsl.ir.scalar import Scalar


def print_step(step: ir.Step) -> str:
    return "\n".join(print_program(program) for program in step.programs())


def print_program(program: ir.Program, names: Mapping[ir.Value, str] | None = None) -> str:
    """The program; `names` gives values other names than their own."""
    known = names or {}

    def name(value: ir.Value) -> str:
        return f"%{known.get(value, value)}"

    lines = [f"program {program.route} {{"]
    lines += [f"  state {state.name}: {state.type} = {state.initial}" for state in program.states]
    for definition in program.definitions:
        text = print_operation(definition.operation, known)
        lines.append(f"  {name(definition.value)}: {definition.type} = {text}")
    lines += [f"  store {result.target} = {name(result.value)}" for result in program.results]
    return "\n".join([*lines, "}", ""])


def print_operation(operation: ir.Operation, names: Mapping[ir.Value, str] | None = None) -> str:
    known = names or {}

    def show(part: ir.Value | Scalar) -> str:
        return f"%{known.get(part, part)}" if isinstance(part, str) else str(part)

    match operation:
        case ir.Input(role, name):
            return f"input {role}" if role != "state" else f"input state {name}"
        case ir.Map(function, parts) | ir.Whole(function, parts):
            return f"{function} {', '.join(show(part) for part in parts)}"
        case ir.Reduce(function, operand, axis):
            return f"{function} {show(operand)} over {axis or 'all'}"
        case ir.MatMul(left, right):
            return f"matmul {show(left)}, {show(right)}"
        case ir.Gemm(alpha, left, right, beta, addend):
            return f"gemm {alpha} * {show(left)} @ {show(right)} + {beta} * {show(addend)}"
        case ir.Quintic(operand, divisor, coefficients):
            factors = ", ".join(f"({a}, {b}, {c})" for a, b, c in coefficients)
            return f"quintic {show(operand)}{f' / {show(divisor)}' if divisor else ''} by {factors}"
        case ir.Choose(condition, then, otherwise):
            return f"choose {condition}, {show(then)}, {show(otherwise)}"
        case ir.Convert(operand) | ir.Transpose(operand) | ir.Orient(operand):
            return f"{type(operation).__name__.lower()} {show(operand)}"
