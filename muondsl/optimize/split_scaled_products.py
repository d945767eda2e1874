"""Takes products apart whose factors change from step to step: launches have their factors built in. The product is
rounded as it is stored, its terms are not.

                                        %p = matmul %s, %s
%t = gemm mu * %s @ %s + b * %s    →    %q = * mu, %p
                                        %r = * b, %s
                                        %t = + %q, %r
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from muondsl.ir import program as ir
from muondsl.ir.scalar import ONE
from muondsl.ir.types import DType, Type
from muondsl.optimize.collect_iterations import literal

if TYPE_CHECKING:
    from collections.abc import Iterator

FP32 = DType("fp32")


def split_scaled_products(program: ir.Program) -> ir.Program:
    definitions = tuple(part for each in program.definitions for part in _parts(each))
    return replace(program, definitions=definitions)


def _parts(definition: ir.Definition) -> Iterator[ir.Definition]:
    operation = definition.operation
    if not isinstance(operation, ir.Gemm) or (literal(operation.alpha) and literal(operation.beta)):
        yield definition
        return
    product = replace(
        definition, value=f"{definition.value}.product", operation=ir.MatMul(operation.left, operation.right), name=None
    )
    yield product
    terms: list[ir.Value] = []
    for factor, value in ((operation.alpha, product.value), (operation.beta, operation.addend)):
        if factor == ONE:
            terms.append(value)
            continue
        terms.append(f"{definition.value}.term{len(terms) + 1}")
        unrounded = Type(definition.type.dims, FP32)
        yield replace(definition, value=terms[-1], operation=ir.Map("*", (factor, value)), type=unrounded, name=None)
    yield replace(definition, operation=ir.Map("+", tuple(terms)))
