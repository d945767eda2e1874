"""Collects the steps of a quintic iteration into one operation, whose form depends on the shape and the device.

%s = matmul %x, %x'
%p = gemm c * %s @ %s + b * %s
%y = gemm 1 * %p @ %x + a * %x           →    %z = quintic %x by (a, b, c), (d, e, f)
%t = matmul %y, %y'
%q = gemm f * %t @ %t + e * %t
%z = gemm 1 * %q @ %y + d * %y

Steps whose coefficients depend on a hyper or on the number of the step, those of which something inside is read
elsewhere, and those of squares such as %s stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from muondsl.ir import program as ir
from muondsl.ir.scalar import ONE, Call, Named, Number, Scalar
from muondsl.ir.types import MATRIX, SCALAR

Coefficients = tuple[Number, Number, Number]

PANELS = (MATRIX, MATRIX.transposed, MATRIX.oriented, MATRIX.oriented.transposed)
READS = 4
"""How often a step reads its operand: twice for s, twice for the sum."""


def collect_iterations(program: ir.Program) -> ir.Program:
    """A value that only the next step reads becomes the inside of the iteration."""
    steps = _Steps(program).found()
    inside = {value for step in steps.values() for value in step.inside}
    uses = ir.uses(program)
    definitions: list[ir.Definition] = []
    iterations: dict[ir.Value, int] = {}
    for definition in program.definitions:
        step = steps.get(definition.value)
        if step is None:
            definitions += [definition] if definition.value not in inside else []
            continue
        place = iterations.get(step.operand)
        if place is not None and uses[step.operand] == READS:
            earlier = definitions[place].operation
            assert isinstance(earlier, ir.Quintic)
            operation = replace(earlier, coefficients=(*earlier.coefficients, step.coefficients))
            definitions[place] = replace(definition, operation=operation)
        else:
            place = len(definitions)
            definitions.append(replace(definition, operation=ir.Quintic(step.operand, None, (step.coefficients,))))
        iterations[definition.value] = place
    return replace(program, definitions=tuple(definitions))


def fold_normalisation(program: ir.Program) -> ir.Program:
    """%x = / %u, %size                          %z = quintic %u / %size by (a, b, c)
    %z = quintic %x by (a, b, c)       →

    where nothing else reads %x: the first products divide by the size, and no pass over the matrix is left for it.
    """
    table, uses = program.table(), ir.uses(program)
    definitions = []
    for definition in program.definitions:
        operation = definition.operation
        if isinstance(operation, ir.Quintic) and operation.divisor is None and uses[operation.operand] == 1:
            match table[operation.operand].operation:
                case ir.Map("/", (str() as whole, str() as size)) if (
                    table[size].type.dims == SCALAR and table[whole].type == definition.type
                ):
                    operation = replace(operation, operand=whole, divisor=size)
        definitions.append(replace(definition, operation=operation))
    return replace(program, definitions=tuple(definitions))


@dataclass(frozen=True)
class _Step:
    """One step of an iteration, and what is computed only for it."""

    operand: ir.Value
    coefficients: Coefficients
    inside: tuple[ir.Value, ...]


class _Steps:
    """Finds steps by their last product."""

    def __init__(self, program: ir.Program) -> None:
        self.program = program
        self.table = program.table()
        self.uses = ir.uses(program)

    def found(self) -> dict[ir.Value, _Step]:
        steps = {each.value: self._step(each) for each in self.program.definitions}
        return {value: step for value, step in steps.items() if step is not None}

    def _step(self, last: ir.Definition) -> _Step | None:
        match last.operation:
            case ir.Gemm(alpha, polynomial, operand, a, addend) if operand == addend and alpha == ONE:
                pass
            case _:
                return None
        match self.table[polynomial].operation:
            case ir.Gemm(c, square, right, b, addend) if square == right == addend and self.uses[square] == 3:
                pass
            case _:
                return None
        match self.table[square].operation:
            case ir.MatMul(left, transposed) if left == operand and self.uses[transposed] == 1:
                is_gram = self.table[transposed].operation == ir.Transpose(operand)
            case _:
                return None
        coefficients = tuple(number for each in (a, b, c) if (number := literal(each)))
        formats = {self.table[each].type.dtype for each in (operand, square, polynomial, last.value)}
        is_panel = last.type.dims in PANELS
        if not (is_gram and is_panel) or self.uses[polynomial] != 1 or len(coefficients) != 3 or len(formats) != 1:
            return None
        return _Step(operand, coefficients, (transposed, square, polynomial))


def literal(scalar: Scalar) -> Number | None:
    """The literal that a scalar stands for, if it is one."""
    match scalar:
        case Number():
            return scalar
        case Named(_, value):
            return literal(value)
        case Call("-", (operand,)):
            number = literal(operand)
            return Number(number.text[1:] if number.text.startswith("-") else f"-{number.text}") if number else None
    return None
