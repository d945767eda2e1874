"""Which products are symmetric matrices: x·xᵀ, and polynomials of one such matrix. Half of their tiles is enough."""

from __future__ import annotations

from muondsl.ir import program as ir


def symmetric_products(program: ir.Program) -> frozenset[ir.Value]:
    """The values of matrix products that are symmetric whatever the inputs are."""
    table = program.table()
    generators: dict[ir.Value, ir.Value] = {}
    for definition in program.definitions:
        generator = _generator(definition, table, generators)
        if generator is not None:
            generators[definition.value] = generator
    return frozenset(value for value in generators if isinstance(table[value].operation, ir.MatMul | ir.Gemm))


def _generator(
    definition: ir.Definition, table: dict[ir.Value, ir.Definition], generators: dict[ir.Value, ir.Value]
) -> ir.Value | None:
    """A symmetric matrix of which the value is a polynomial: such polynomials commute. None where there is none."""

    def common(*values: ir.Value) -> ir.Value | None:
        found = {generators.get(value) for value in values}
        return found.pop() if len(found) == 1 else None

    def is_transpose(value: ir.Value, of: ir.Value) -> bool:
        return table[value].operation == ir.Transpose(of) or table[of].operation == ir.Transpose(value)

    match definition.operation:
        case ir.MatMul(left, right):
            return definition.value if is_transpose(right, left) else common(left, right)
        case ir.Gemm(_, left, right, _, addend):
            if is_transpose(right, left):
                return definition.value if addend in generators else None
            return common(left, right, addend)
        case ir.Map("+" | "-", (str() as left, str() as right)):
            both = left in generators and right in generators
            return common(left, right) or (definition.value if both else None)
        case ir.Map("*" | "/", (str() as operand, scalar)) | ir.Map("*", (scalar, str() as operand)):
            return generators.get(operand) if not isinstance(scalar, str) else None
        case ir.Convert(operand) | ir.Transpose(operand):
            return generators.get(operand)
        case _:
            return None
