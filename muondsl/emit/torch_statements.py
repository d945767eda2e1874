"""The kernels of a plan as torch statements, one for each value that has a buffer. Decides nothing: the plan has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, assert_never

from muondsl.emit.python_scalar import ATOM, to_python
from muondsl.ir import program as ir
from muondsl.ir.scalar import ONE, Named, Scalar, walk
from muondsl.ir.types import DType, promote
from muondsl.optimize.collect_iterations import Coefficients
from muondsl.schedule.plan import Assignment, Inline, InPlace, UpdatePlan

if TYPE_CHECKING:
    from collections.abc import Iterator

Iterations = Mapping[tuple[tuple[Coefficients, ...], DType], str]
"""The names of the constants that describe iterations."""

CONDITION, SUM, PRODUCT, NEGATIVE, POWER = 3, 5, 6, 7, 8
FORMATS = {"bf16": "torch.bfloat16", "fp16": "torch.float16", "fp32": "torch.float32", "fp64": "torch.float64"}
INFIX = {"+": SUM, "-": SUM, "*": PRODUCT, "/": PRODUCT, "<": 4, "<=": 4, ">": 4, ">=": 4, "==": 4, "!=": 4}
MASKS = {"and": "&", "or": "|", "not": "~"}
METHODS = ("sqrt", "abs", "exp", "log", "tanh", "floor", "sign")
WHOLES = {
    "identity": "torch.eye({0}.shape[-1], dtype={0}.dtype, device={0}.device)",
    "trace": "{0}.diagonal().sum().reshape(1, 1)",
    "solve_lower": "torch.linalg.solve_triangular({0}, {1}, upper=False)",
    "kth_value": "{0}.flatten().kthvalue({1}).values.reshape([1] * {0}.ndim)",
    "svd": "torch.linalg.svd({0}, full_matrices=False)",
    "svd_left": "{0}.U",
    "svd_values": "{0}.S.unsqueeze(-2)",
    "svd_right": "{0}.Vh",
}
IN_PLACE = {"+": "add_", "-": "sub_", "*": "mul_", "/": "div_"}


@dataclass(frozen=True)
class Statement:
    """One line. `rolled` is the same with a loop's variables in the place of its numbers; `note` says what the line is
    for where it is no step of the spec.
    """

    text: str
    rolled: str
    origin: ir.Origin
    kernel: int
    numbers: tuple[tuple[str, str], ...]
    note: str = ""


def statements(update: UpdatePlan, iterations: Iterations) -> Iterator[Statement]:
    """The statements of a step in the order of the plan."""
    printer = _Printer(update, iterations)
    for number, kernel in enumerate(update.kernels, 1):
        for assignment in kernel.assignments:
            if isinstance(assignment.placement, Inline):
                continue
            texts = [printer.statement(assignment, unroll=unroll) for unroll in (True, False)]
            if texts[0]:
                origin = assignment.definition.origin
                numbers = printer.numbers(assignment.definition)
                yield Statement(texts[0], texts[1], origin, number, numbers, _note(assignment.definition))


def _note(definition: ir.Definition) -> str:
    match definition.operation:
        case ir.Convert() if definition.name is None:
            return f"In {definition.type.dtype.fixed or 'the format of the parameter'}."
        case ir.Quintic():
            return (
                "u ← a u + (b s + c s s) u with s = u uᵀ, for each (a, b, c), in the form that suits shape and device."
            )
        case ir.Orient() if definition.origin.place:
            return ""
        case ir.Orient() if definition.name is None:
            return "On the shorter side, because p(u uᵀ) u = u p(uᵀ u) for every polynomial p."
        case ir.Orient():
            return "Rows and columns as they were."
    return ""


class _Printer:
    def __init__(self, update: UpdatePlan, iterations: Iterations) -> None:
        self.iterations = iterations
        self.is_matrix = update.program.route == "matrix"
        self.table = update.program.table()
        self.assignments = {
            assignment.definition.value: assignment for kernel in update.kernels for assignment in kernel.assignments
        }
        self.unroll = True

    def numbers(self, definition: ir.Definition) -> tuple[tuple[str, str], ...]:
        """The loop's variables that the statement reads, with their values in this iteration."""
        found: dict[str, str] = {}
        for part in self._scalars(definition):
            for inner in walk(part):
                if isinstance(inner, Named) and inner.is_coefficient:
                    found[inner.name] = to_python(inner.value)
        return tuple(found.items())

    def _scalars(self, definition: ir.Definition) -> Iterator[Scalar]:
        yield from ir.scalars(definition.operation)
        for value in ir.operands(definition.operation):
            inner = self.assignments.get(value)
            if inner and isinstance(inner.placement, Inline):
                yield from self._scalars(inner.definition)

    def statement(self, assignment: Assignment, *, unroll: bool) -> str:
        self.unroll = unroll
        definition = assignment.definition
        if isinstance(assignment.placement, InPlace):
            over = assignment.placement.of
            text = self._in_place(definition, over, self._part(over))
            return text if self._part(over) == assignment.name else f"{assignment.name} = {text}"
        text = self._expression(definition, 0)
        return "" if text == assignment.name else f"{assignment.name} = {text}"

    def _in_place(self, definition: ir.Definition, over: ir.Value, name: str) -> str:
        operation = definition.operation
        assert isinstance(operation, ir.Map)
        if operation.function in METHODS:
            return f"{name}.{operation.function}_()"
        others = list(operation.operands)
        others.remove(over)
        if not others:
            return f"{name}.neg_()"
        if operation.function == "lerp":
            return f"{name}.lerp_({self._part(others[0])}, {self._part(others[1])})"
        if operation.function == "add_scaled":
            return f"{name}.add_({self._part(others[0])}, alpha={self._part(others[1])})"
        return f"{name}.{IN_PLACE[operation.function]}({self._part(others[0])})"

    def _part(self, part: ir.Value | Scalar, around: int = 0) -> str:
        if not isinstance(part, str):
            return to_python(part, around=around, unroll=self.unroll)
        assignment = self.assignments.get(part)
        if assignment is None:
            operation = self.table[part].operation
            assert isinstance(operation, ir.Input)
            return operation.name
        if isinstance(assignment.placement, Inline):
            return self._expression(assignment.definition, around)
        return assignment.name

    def _expression(self, definition: ir.Definition, around: int) -> str:
        text, own = self._print(definition)
        return text if own >= around else f"({text})"

    def _print(self, definition: ir.Definition) -> tuple[str, int]:
        operation = definition.operation
        match operation:
            case ir.Map():
                return self._rounded(operation, definition)
            case ir.Reduce():
                return self._reduce(operation), ATOM
            case ir.MatMul(left, right):
                return f"{self._part(left, PRODUCT)} @ {self._part(right, PRODUCT + 1)}", PRODUCT
            case ir.Gemm():
                return self._gemm(operation), ATOM
            case ir.Whole(function, parts):
                texts = (self._part(part, ATOM if isinstance(part, str) else 0) for part in parts)
                return WHOLES[function].format(*texts), ATOM
            case ir.Transpose(operand):
                return f"{self._part(operand, ATOM)}.mT", ATOM
            case ir.Orient(operand):
                name = self._part(operand, ATOM)
                return f"{name}.mT if rows > cols else {name}", 0
            case ir.Convert(operand):
                return f"{self._part(operand, ATOM)}.to({python_dtype(definition.type.dtype)})", ATOM
            case ir.Choose(condition, then, otherwise):
                choice = to_python(condition, around=1, unroll=self.unroll)
                return f"{self._part(then, 1)} if {choice} else {self._part(otherwise)}", 0
            case ir.Input(_, name):
                return name, ATOM
            case ir.Quintic(operand):
                iteration = self.iterations[operation.coefficients, definition.type.dtype]
                return f"iterated({iteration}, {self._part(operand)})", ATOM
            case _:
                assert_never(operation)

    def _rounded(self, operation: ir.Map, definition: ir.Definition) -> tuple[str, int]:
        """The function, rounded where torch would not round to the definition's format by itself."""
        parts = operation.operands[1:] if operation.function == "if" else operation.operands
        formats = [self.table[part].type.dtype for part in parts if isinstance(part, str)]
        if not formats:
            return self._choice_of_scalars(operation, definition.type.dtype), ATOM
        natural = reduce(promote, formats)
        text, own = self._map(operation)
        wanted = definition.type.dtype
        if wanted.is_mask or natural == wanted or natural.is_mask:
            return text, own
        inner = text if own >= ATOM else f"({text})"
        return f"{inner}.to({python_dtype(wanted)})", ATOM

    def _choice_of_scalars(self, operation: ir.Map, dtype: DType) -> str:
        """Between two numbers torch would choose the format by itself; one of them as a tensor decides it."""
        condition, then, otherwise = (self._part(part) for part in operation.operands)
        if not dtype.is_mask:
            then = f"torch.full((), {then}, dtype={python_dtype(dtype)}, device=parameter.device)"
        return f"torch.where({condition}, {then}, {otherwise})"

    def _map(self, operation: ir.Map) -> tuple[str, int]:
        function, parts = operation.function, operation.operands
        if function == "-" and len(parts) == 1:
            return f"-{self._part(parts[0], NEGATIVE)}", NEGATIVE
        if function in INFIX:
            own = INFIX[function]
            return f"{self._part(parts[0], own)} {function} {self._part(parts[1], own + 1)}", own
        if function == "**":
            return f"{self._part(parts[0], ATOM)} ** {self._part(parts[1], NEGATIVE)}", POWER
        if function in MASKS:
            operator = f" {MASKS[function]} ".join(self._part(part, ATOM) for part in parts)
            return operator if len(parts) > 1 else f"~{self._part(parts[0], ATOM)}", CONDITION
        if function in METHODS:
            return f"{self._part(parts[0], ATOM)}.{function}()", ATOM
        if function in ("min", "max"):
            return self._extremum(function, parts), ATOM
        if function == "copy":
            return f"{self._part(parts[0], ATOM)}.clone()", ATOM
        arguments = [self._part(part) for part in parts]
        calls = {
            "lerp": "torch.lerp({}, {}, {})",
            "add_scaled": "torch.add({}, {}, alpha={})",
            "if": "torch.where({}, {}, {})",
        }
        if function == "full":
            return f"torch.full_like({arguments[1]}, {arguments[0]})", ATOM
        return calls[function].format(*arguments), ATOM

    def _extremum(self, function: str, parts: tuple[ir.Value | Scalar, ...]) -> str:
        """`torch.maximum` of tensors; a scalar is a bound."""
        tensors = [part for part in parts if isinstance(part, str)]
        bounds = [part for part in parts if not isinstance(part, str)]
        text = self._part(tensors[0], ATOM)
        for tensor in tensors[1:]:
            text = f"torch.{function}imum({text}, {self._part(tensor)})"
        for bound in bounds:
            keyword = "min" if function == "max" else "max"
            text = f"{text}.clamp({keyword}={self._part(bound)})"
        return text

    def _reduce(self, operation: ir.Reduce) -> str:
        function = {"max": "amax", "min": "amin"}.get(operation.function, operation.function)
        operand = self._part(operation.operand, ATOM)
        if operation.axis is None:
            over = f"dim={'(-2, -1)' if self.is_matrix else 'all_dims'}, keepdim=True"
        else:
            dims = {"rows": "-2", "cols": "-1", "short": "short_dim", "long": "long_dim", "first": "-2", "last": "-1"}
            over = f"dim={dims[operation.axis]}, keepdim=True"
        if function == "norm":
            return f"torch.linalg.vector_norm({self._part(operation.operand)}, {over})"
        return f"{operand}.{function}({over})"

    def _gemm(self, operation: ir.Gemm) -> str:
        """`torch.addmm`, with the factors that are not one."""
        factors = [
            f"{name}={self._part(factor)}"
            for name, factor in (("beta", operation.beta), ("alpha", operation.alpha))
            if factor != ONE
        ]
        arguments = [self._part(operation.addend), self._part(operation.left), self._part(operation.right), *factors]
        return f"torch.addmm({', '.join(arguments)})"


def python_dtype(dtype: DType) -> str:
    """The torch dtype that a format of the plan has where the parameter's is known."""
    if dtype.fixed is None:
        return "parameter.dtype"
    fixed = FORMATS[dtype.fixed]
    return f"torch.promote_types(parameter.dtype, {fixed})" if dtype.follows_parameter else fixed
