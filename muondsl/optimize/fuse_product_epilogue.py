"""Joins a product with the sum that it goes into.

%p = matmul %s, %s
%q = * c, %p
%r = * b, %s          →    %t = gemm c * %s @ %s + b * %s
%t = + %r, %q
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from muondsl.ir import program as ir
from muondsl.ir.scalar import ONE, Call, Number, Scalar


def fuse_product_epilogue(program: ir.Program) -> ir.Program:
    """A sum of two products takes the right one as its product."""
    table, uses = program.table(), ir.uses(program)
    done = []
    for definition in program.definitions:
        fused = _fused(definition, table, uses)
        done.append(replace(definition, operation=fused) if fused else definition)
    return replace(program, definitions=tuple(done))


@dataclass(frozen=True)
class _Term:
    """factor · value."""

    factor: Scalar
    value: ir.Value


def _fused(
    definition: ir.Definition, table: dict[ir.Value, ir.Definition], uses: dict[ir.Value, int]
) -> ir.Gemm | None:
    match definition.operation:
        case ir.Map("+" | "-" as sign, (str() as left, str() as right)):
            pass
        case _:
            return None
    terms = [_term(left, table, uses), _term(right, table, uses)]
    if sign == "-":
        terms[1] = _Term(_negated(terms[1].factor), terms[1].value)
    for product, addend in ((terms[1], terms[0]), (terms[0], terms[1])):
        operation = table[product.value].operation
        is_uniform = definition.type == table[addend.value].type == table[product.value].type
        if isinstance(operation, ir.MatMul) and uses[product.value] == 1 and is_uniform:
            return ir.Gemm(product.factor, operation.left, operation.right, addend.factor, addend.value)
    return None


def _term(value: ir.Value, table: dict[ir.Value, ir.Definition], uses: dict[ir.Value, int]) -> _Term:
    """The value taken apart into a scalar factor and the rest, where nothing else needs the product of both."""
    match table[value].operation:
        case ir.Map("*", (str() as operand, factor)) | ir.Map("*", (factor, str() as operand)) if uses[value] == 1:
            if not isinstance(factor, str):
                return _Term(factor, operand)
    return _Term(ONE, value)


def _negated(factor: Scalar) -> Scalar:
    if isinstance(factor, Number):
        return Number(factor.text[1:] if factor.text.startswith("-") else f"-{factor.text}")
    return Call("-", (factor,))
