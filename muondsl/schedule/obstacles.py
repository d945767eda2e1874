"""What keeps a program from the GPU, in words."""

from __future__ import annotations

from muondsl.ir import program as ir
from muondsl.schedule.places import FORMS, form_of, is_uniform


def obstacle(definition: ir.Definition, program: ir.Program) -> str:
    """Why kernels cannot compute a value, if they cannot."""
    dims, name = definition.type.dims, definition.name or definition.value
    if definition.type.dtype.fixed == "fp64":
        return "it computes in fp64, which tensor cores do not serve"
    if isinstance(definition.operation, ir.Whole):
        return f"`{definition.operation.function}` is left to a library of linear algebra: there is no kernel for it"
    if isinstance(definition.operation, ir.Reduce) and definition.operation.axis in ("first", "last"):
        return f"`{name}` is reduced along a dimension that is neither rows nor columns of the parameter"
    if program.route == "otherwise":
        return ""
    if isinstance(definition.operation, ir.MatMul | ir.Gemm):
        table = program.table()
        if not all(table[value].type.dims.is_matrix for value in ir.operands(definition.operation)):
            return f"`{name}` is a product with a vector, which kernels of products do not serve"
    if not is_uniform(dims) and _is_reduced_or_stored(definition.value, program):
        return f"`{name}` is a matrix or not depending on which side of the parameter is longer"
    return f"`{name}` is {dims}, which has no form in memory" if dims.is_matrix and form_of(dims) not in FORMS else ""


def _is_reduced_or_stored(value: ir.Value, program: ir.Program) -> bool:
    reductions = [each.operation.operand for each in program.definitions if isinstance(each.operation, ir.Reduce)]
    return value in reductions or any(result.value == value for result in program.results)
