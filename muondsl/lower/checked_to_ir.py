"""A checked spec in, the tensor program of a step out: loops unrolled, stages joined, every value in one definition."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, assert_never

from muondsl.check import typed
from muondsl.ir import program as ir
from muondsl.ir import scalar
from muondsl.ir.reserved import KEYWORDS, LOCALS
from muondsl.ir.types import MASK, MATRIX, PARAM, SCALAR, Dim, Dims, DType, Format, Type, promote
from muondsl.ir.verify import verify
from muondsl.lower.name_scalars import name_scalars

if TYPE_CHECKING:
    from muondsl.diagnostics.span import Span

LR = scalar.Symbol("lr", "hyper")


def lower(spec: typed.CheckedSpec, precision: Format | None = None) -> ir.Step:
    """The programs of a spec. `precision` stands in for the format of every `in` block."""
    matrix = _Lowering("matrix", precision).run(spec.matrix) if spec.matrix else None
    otherwise = _Lowering("otherwise", precision).run(spec.otherwise) if spec.otherwise else None
    return ir.Step(matrix, otherwise)


@dataclass
class _Lowering:
    route: ir.Route
    precision: Format | None
    definitions: list[ir.Definition] = field(default_factory=list)
    types: dict[ir.Value, Type] = field(default_factory=dict)
    current: dict[typed.Variable, ir.Value] = field(default_factory=dict)
    numbers: Counter[str] = field(default_factory=Counter)
    coefficients: dict[scalar.Symbol, scalar.Scalar] = field(default_factory=dict)
    origin: ir.Origin = field(default_factory=lambda: ir.Origin("", ""))
    loops: int = 0

    def run(self, update: typed.Update) -> ir.Program:
        states = tuple(self._state(state) for state in update.states)
        formats = {state.variable: state.format for state in update.states}
        self._inputs(update)
        for stage in update.stages:
            if stage.name == "project":
                self._step_parameter(update)
            for statement in stage.statements:
                self._statement(statement, stage, formats)
        if all(stage.name != "project" for stage in update.stages):
            self._step_parameter(update)
        results = [ir.Result(state.variable.name, self.current[state.variable]) for state in update.states]
        results.append(ir.Result("parameter", self.current[typed.PARAMETER]))
        program = ir.Program(self.route, tuple(self.definitions), states, tuple(results))
        return verify(name_scalars(program, LOCALS | KEYWORDS), "lower")

    def _state(self, state: typed.State) -> ir.State:
        return ir.State(state.variable.name, _state_type(state), state.shape, state.format, state.initial)

    def _inputs(self, update: typed.Update) -> None:
        """Defines the parameter, the gradient and the states; `update` begins as the gradient."""
        matrix = Type(MATRIX, PARAM)
        self.current[typed.PARAMETER] = self._define(ir.Input("parameter", "parameter"), matrix, "parameter")
        self.current[typed.PREVIOUS] = self.current[typed.PARAMETER]
        self.current[typed.GRADIENT] = self._define(ir.Input("gradient", "gradient"), matrix, "gradient")
        self.current[typed.UPDATE] = self.current[typed.GRADIENT]
        for state in update.states:
            value = ir.Input("state", state.variable.name)
            self.current[state.variable] = self._define(value, _state_type(state), state.variable.name)

    def _define(self, operation: ir.Operation, kind: Type, name: str | None = None) -> ir.Value:
        base = name or _base_name(operation)
        self.numbers[base] += 1
        value = base if self.numbers[base] == 1 else f"{base}.{self.numbers[base]}"
        self.definitions.append(ir.Definition(value, operation, kind, self.origin, name))
        self.types[value] = kind
        return value

    def _statement(
        self, statement: typed.Statement, stage: typed.Stage, formats: dict[typed.Variable, Format | None]
    ) -> None:
        if isinstance(statement, typed.Loop):
            self._loop(statement, stage, formats)
            return
        self._at(stage, statement.span)
        variable = statement.variable
        value = self._tensor(statement.value)
        if variable.role in ("state", "parameter"):
            fixed = formats.get(variable)
            value = self._stored(value, DType(fixed) if fixed else PARAM)
        self.current[variable] = self._named(value, variable.name)

    def _at(self, stage: typed.Stage, span: Span) -> None:
        self.origin = replace(self.origin, stage=stage.heading, place=span.place)

    def _loop(self, loop: typed.Loop, stage: typed.Stage, formats: dict[typed.Variable, Format | None]) -> None:
        outer = self.origin
        self.loops += 1
        number = self.loops
        for iteration, item in enumerate(loop.items):
            for symbol, value in zip(loop.symbols, item, strict=True):
                name = symbol.name.partition(".")[0]
                self.coefficients[symbol] = scalar.Named(name, value, is_coefficient=True)
            self.origin = replace(outer, loop=number, iteration=iteration)
            for statement in loop.body:
                self._statement(statement, stage, formats)
        self.origin = outer

    def _named(self, value: ir.Value, name: str) -> ir.Value:
        """Gives the last definition the spec's name, unless the value has one."""
        last = self.definitions[-1]
        if last.value != value or last.name is not None:
            return value
        self.definitions.pop()
        self.numbers[_base_name(last.operation)] -= 1
        return self._define(last.operation, last.type, name)

    def _stored(self, value: ir.Value, dtype: DType) -> ir.Value:
        """The value in the format in which it is stored; an operation just defined rounds to a narrower one at once."""
        computed = self.types[value].dtype
        if computed == dtype:
            return value
        kind = Type(self.types[value].dims, dtype)
        last = self.definitions[-1]
        is_narrower = promote(computed, dtype) == computed
        if is_narrower and last.value == value and last.name is None and isinstance(last.operation, ir.Map):
            self.definitions[-1] = replace(last, type=kind)
            self.types[value] = kind
            return value
        return self._define(ir.Convert(value), kind)

    def _tensor(self, node: typed.Tensor) -> ir.Value:
        match node:
            case typed.Read(variable):
                return self.current[variable]
            case typed.Convert(operand, written):
                return self._convert(self._tensor(operand), DType(self.precision or written))
            case typed.Elementwise():
                return self._elementwise(node)
            case typed.Product(left, right):
                values = self._tensor(left), self._tensor(right)
                dtype = promote(self.types[values[0]].dtype, self.types[values[1]].dtype)
                return self._define(
                    ir.MatMul(*(self._convert(value, dtype) for value in values)), Type(node.dims, dtype)
                )
            case typed.Transposed(operand):
                value = self._tensor(operand)
                return self._define(ir.Transpose(value), Type(node.dims, self.types[value].dtype))
            case typed.Reduce(function, operand, axis):
                value = self._tensor(operand)
                return self._define(ir.Reduce(function, value, axis), Type(node.dims, self.types[value].dtype))
            case typed.Whole(function, operands):
                return self._whole(function, operands, node.dims)
            case typed.Choose(condition, then, otherwise):
                return self._choose(node, condition, then, otherwise)
            case _:
                assert_never(node)

    def _choose(
        self, node: typed.Choose, condition: scalar.Scalar, then: typed.Tensor, otherwise: typed.Tensor
    ) -> ir.Value:
        known = scalar.substitute(condition, self.coefficients)
        if scalar.is_constant(known):
            return self._tensor(then if scalar.evaluate(known, {}) else otherwise)
        values = self._tensor(then), self._tensor(otherwise)
        dtype = promote(self.types[values[0]].dtype, self.types[values[1]].dtype)
        both = (self._convert(value, dtype) for value in values)
        return self._define(ir.Choose(known, *both), Type(node.dims, dtype))

    def _whole(self, function: str, operands: tuple[typed.Tensor | scalar.Scalar, ...], dims: Dims) -> ir.Value:
        """Everything but `identity`, `trace` and `oriented` is computed in fp32 at least."""
        values = [self._tensor(operand) for operand in operands if not isinstance(operand, scalar.Scalar)]
        if function == "oriented":
            return self._define(ir.Orient(values[0]), Type(dims, self.types[values[0]].dtype))
        if function not in ("identity", "trace"):
            dtype = DType("fp32")
            for value in values:
                dtype = promote(dtype, self.types[value].dtype)
            values = [self._convert(value, dtype) for value in values]
        kind = self.types[values[0]]
        if function == "quantile":
            (level,) = (operand for operand in operands if isinstance(operand, scalar.Scalar))
            return self._quantile(values[0], scalar.substitute(level, self.coefficients))
        if function.startswith("svd_"):
            values = [self._define(ir.Whole("svd", tuple(values)), kind)]
        return self._define(ir.Whole(function, tuple(values)), Type(dims, kind.dtype))

    def _quantile(self, value: ir.Value, level: scalar.Scalar) -> ir.Value:
        """Between the two elements around the place level·(n − 1), counted from zero."""
        kind = self.types[value]
        count = elements(kind.dims)
        place = scalar.Call("*", (level, scalar.Call("-", (count, scalar.ONE))))
        below = scalar.Call("floor", (place,))
        numbers = (
            scalar.Call("+", (below, scalar.ONE)),
            scalar.Call("min", (scalar.Call("+", (below, scalar.Number("2"))), count)),
        )
        number = Type(SCALAR, kind.dtype)
        ends = [self._define(ir.Whole("kth_value", (value, each)), number) for each in numbers]
        return self._define(ir.Map("lerp", (*ends, scalar.Call("-", (place, below)))), number)

    def _elementwise(self, node: typed.Elementwise) -> ir.Value:
        operands: list[ir.Value | scalar.Scalar] = []
        for part in node.operands:
            if isinstance(part, scalar.Scalar):
                operands.append(scalar.substitute(part, self.coefficients))
            else:
                operands.append(self._tensor(part))
        branches = operands[1:] if node.function == "if" else operands
        read = [self.types[operand] for operand in branches if isinstance(operand, str)]
        dtype = read[0].dtype if read else PARAM
        for kind in read[1:]:
            dtype = promote(dtype, kind.dtype)
        if node.function == "lerp":
            operands = [self._convert(part, dtype) if isinstance(part, str) else part for part in operands]
        return self._define(ir.Map(node.function, tuple(operands)), Type(node.dims, MASK if node.is_mask else dtype))

    def _convert(self, value: ir.Value, dtype: DType) -> ir.Value:
        kind = self.types[value]
        if kind.dtype == dtype:
            return value
        return self._define(ir.Convert(value), Type(kind.dims, dtype))

    def _step_parameter(self, update: typed.Update) -> None:
        """parameter - (lr * scale) * update, rounded once."""
        self.origin = ir.Origin("apply", "")
        is_one = update.scale == scalar.ONE
        size = LR if is_one else scalar.Call("*", (LR, update.scale))
        parameter, direction = self.current[typed.PARAMETER], self.current[typed.UPDATE]
        operation = ir.Map("add_scaled", (parameter, direction, scalar.Call("-", (size,))))
        self.current[typed.PARAMETER] = self._define(operation, Type(MATRIX, PARAM), "parameter")


def _state_type(state: typed.State) -> Type:
    return Type(state.variable.dims, DType(state.format) if state.format else PARAM)


def elements(dims: Dims) -> scalar.Scalar:
    """The number of elements of a tensor."""
    if dims == MATRIX:
        return scalar.Symbol("numel", "shape")
    row, col = _size(dims.row), _size(dims.col)
    if scalar.ONE in (row, col):
        return col if row == scalar.ONE else row
    return scalar.Call("*", (row, col))


def _size(dim: Dim) -> scalar.Scalar:
    sides: dict[str, scalar.Scalar] = {
        "1": scalar.ONE,
        "rows": scalar.Symbol("rows", "shape"),
        "cols": scalar.Symbol("cols", "shape"),
    }
    tall, wide = sides[dim.tall], sides[dim.wide]
    if tall == wide:
        return tall
    return scalar.Call("if", (scalar.Call(">=", (sides["rows"], sides["cols"])), tall, wide))


def _base_name(operation: ir.Operation) -> str:
    """A name for a value that the spec leaves unnamed."""
    match operation:
        case ir.Map(function, _):
            words = {"+": "added", "-": "difference", "*": "scaled", "/": "ratio", "**": "power", "if": "choice"}
            return words.get(function, function if function.isidentifier() else "mask")
        case ir.Reduce(function, _, axis):
            return f"{function}_over_{axis}" if axis else f"whole_{function}"
        case ir.Whole(function):
            return function
        case ir.Convert():
            return "converted"
        case _:
            return type(operation).__name__.lower()
