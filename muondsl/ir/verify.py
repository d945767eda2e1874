"""What makes a program valid. Run after lowering and after every pass; a violation is a defect of the compiler."""

from __future__ import annotations

from typing import assert_never

from muondsl.ir import program as ir
from muondsl.ir.scalar import CONDITIONS, is_condition
from muondsl.ir.types import MATRIX, ONE, SCALAR, Dims, Type, broadcast, reduced, shorter


class InvalidProgram(AssertionError):  # noqa: N818
    """A program that breaks a rule of the tensor program; `after` names the pass that made it."""


def verify(program: ir.Program, after: str) -> ir.Program:
    """The program itself, when it is valid. Raises InvalidProgram otherwise."""
    types: dict[ir.Value, Type] = {}
    for definition in program.definitions:
        where = f"after {after}: %{definition.value}"
        if definition.value in types:
            raise InvalidProgram(f"{where} is defined twice")
        for operand in ir.operands(definition.operation):
            if operand not in types:
                raise InvalidProgram(f"{where} reads %{operand} before its definition")
        expected = dims_of(definition.operation, types, program)
        if expected != definition.type.dims:
            raise InvalidProgram(f"{where} is {definition.type.dims}, and its operation yields {expected}")
        if _is_mask(definition.operation, types) != definition.type.dtype.is_mask:
            raise InvalidProgram(f"{where} confuses conditions with numbers")
        types[definition.value] = definition.type
    _verify_results(program, types, after)
    return program


def _verify_results(program: ir.Program, types: dict[ir.Value, Type], after: str) -> None:
    targets = [result.target for result in program.results]
    expected = sorted(["parameter", *(state.name for state in program.states)])
    if sorted(targets) != expected:
        raise InvalidProgram(f"after {after}: stores {sorted(targets)}, not {expected}")
    declared = {state.name: state.type for state in program.states}
    for result in program.results:
        if result.value not in types:
            raise InvalidProgram(f"after {after}: {result.target} stores %{result.value}, which is not defined")
        wanted = declared[result.target].dims if result.target in declared else MATRIX
        if types[result.value].dims != wanted:
            raise InvalidProgram(f"after {after}: {result.target} is {wanted} and gets {types[result.value].dims}")


def dims_of(operation: ir.Operation, types: dict[ir.Value, Type], program: ir.Program) -> Dims | None:
    """The dimensions that an operation yields, or None where its operands do not fit."""
    match operation:
        case ir.Input("state", name):
            return next((state.type.dims for state in program.states if state.name == name), None)
        case ir.Input():
            return MATRIX
        case ir.Convert(operand):
            return types[operand].dims
        case ir.Map():
            return _map_dims(operation, types)
        case ir.Reduce(_, operand, axis):
            return reduced(types[operand].dims, axis) if axis else SCALAR
        case ir.MatMul(left, right):
            return _product(types[left].dims, types[right].dims)
        case ir.Gemm(_, left, right, _, addend):
            dims = _product(types[left].dims, types[right].dims)
            return dims if dims == types[addend].dims else None
        case ir.Quintic(operand, divisor, _):
            is_divisible = divisor is None or types[divisor].dims == SCALAR
            return types[operand].dims if is_divisible else None
        case ir.Whole(function):
            return whole_dims(function, tuple(types[value].dims for value in ir.operands(operation)))
        case ir.Transpose(operand):
            return types[operand].dims.transposed
        case ir.Orient(operand):
            return types[operand].dims.oriented
        case ir.Choose(_, then, otherwise):
            return types[then].dims if types[then].dims == types[otherwise].dims else None
        case _:
            assert_never(operation)


def whole_dims(function: str, dims: tuple[Dims, ...]) -> Dims | None:
    """The dimensions of a function of matrices as wholes, or None where they do not fit."""
    first, last = dims[0], dims[-1]
    is_square = first.row == first.col
    match function:
        case "identity":
            return first if is_square else None
        case "trace":
            return SCALAR if is_square else None
        case "solve_lower":
            return last if is_square and first.col == last.row else None
        case "kth_value":
            return SCALAR
        case "svd_left":
            return Dims(first.row, shorter(first))
        case "svd_values":
            return Dims(ONE, shorter(first))
        case "svd_right":
            return Dims(shorter(first), first.col)
        case _:
            return first


def _map_dims(operation: ir.Map, types: dict[ir.Value, Type]) -> Dims | None:
    dims: Dims | None = SCALAR
    for operand in ir.operands(operation):
        dims = broadcast(dims, types[operand].dims) if dims else None
    return dims


def _product(left: Dims, right: Dims) -> Dims | None:
    return Dims(left.row, right.col) if left.col == right.row else None


def _is_mask(operation: ir.Operation, types: dict[ir.Value, Type]) -> bool:
    if isinstance(operation, ir.Map):
        if operation.function == "if":
            branches = operation.operands[1:]
            return any(types[part].dtype.is_mask if isinstance(part, str) else is_condition(part) for part in branches)
        return operation.function in CONDITIONS
    if isinstance(operation, ir.Choose | ir.Transpose | ir.Orient | ir.Convert):
        return types[ir.operands(operation)[0]].dtype.is_mask
    return False
