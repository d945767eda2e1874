"""What an orthogonalizer divides by: the norms that bring a matrix to size, as formulas."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeGuard, assert_never

from muondsl.check import typed
from muondsl.emit.mathematics import formula
from muondsl.ir import scalar

if TYPE_CHECKING:
    from collections.abc import Iterator

Locals = dict[typed.Variable, typed.Tensor]


def divisors(stage: typed.Stage) -> tuple[str, ...]:
    """What is divided by in a stage, of that which is summed from a matrix, each once: `‖u‖ + 1e-7`. Numbers and
    vectors that have names are written out; matrices keep theirs.
    """
    return tuple(dict.fromkeys(formula(found) for found in _divisors(stage.statements, {})))


def _divisors(statements: tuple[typed.Statement, ...], known: Locals) -> Iterator[typed.Tensor]:
    for statement in statements:
        if isinstance(statement, typed.Loop):
            yield from _divisors(statement.body, known)
            continue
        value = _written_out(statement.value, known)
        for part in typed.walk(value):
            if isinstance(part, typed.Elementwise) and part.function == "/" and _is_summed(part.operands[1]):
                yield part.operands[1]
        if statement.variable.role == "local" and not statement.variable.dims.is_matrix:
            known[statement.variable] = value


def _is_summed(operand: typed.Tensor | scalar.Scalar) -> TypeGuard[typed.Tensor]:
    """Whether it has been made from a sum over more than one element."""
    return isinstance(operand, typed.Tensor) and any(
        isinstance(part, typed.Reduce) or (isinstance(part, typed.Whole) and part.function == "trace")
        for part in typed.walk(operand)
    )


def _written_out(tensor: typed.Tensor, known: Locals) -> typed.Tensor:
    """The tensor with what its names stand for."""
    match tensor:
        case typed.Read(variable):
            return known.get(variable, tensor)
        case typed.Elementwise(_, operands) | typed.Whole(_, operands):
            inside = tuple(_written_out(each, known) if isinstance(each, typed.Tensor) else each for each in operands)
            return replace(tensor, operands=inside)
        case typed.Product(left, right):
            return replace(tensor, left=_written_out(left, known), right=_written_out(right, known))
        case typed.Choose(_, then, otherwise):
            return replace(tensor, then=_written_out(then, known), otherwise=_written_out(otherwise, known))
        case typed.Transposed(operand) | typed.Reduce(_, operand) | typed.Convert(operand):
            return replace(tensor, operand=_written_out(operand, known))
        case _:
            assert_never(tensor)
