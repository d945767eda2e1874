"""Expressions: a tree and a scope in, a typed value out. Folds nothing: digits and order stay as written."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NoReturn, assert_never

from muondsl.check import functions, typed
from muondsl.check.list_calls import list_call
from muondsl.check.scope import BUILT_IN, Scope
from muondsl.check.values import Text, Value, describe, is_condition, is_scalar, is_tensor, parts
from muondsl.check.whole_calls import whole_call
from muondsl.diagnostics import errors_names, errors_rules, errors_types
from muondsl.diagnostics.diagnostic import closest
from muondsl.ir import scalar
from muondsl.ir.types import COLS, ROWS, SCALAR, Axis, Dims, Format, broadcast, reduced
from muondsl.parse import ast

if TYPE_CHECKING:
    from collections.abc import Container

    from muondsl.check.report import Report
    from muondsl.diagnostics.span import Span

MAXIMUM_SCALAR = 400
MAXIMUM_SCALAR_DEPTH = 100
"""Operations in one scalar, and how many of them lie inside each other, with those of the scalars that it names."""


@dataclass(frozen=True)
class Expressions:
    """Evaluates expressions of one block. `format` is that of the `in` block around it; `is_matrix` is false in
    `otherwise`, where a parameter has any number of dimensions; `rules` are known as what is not called in them;
    `subject` is what rules see in the place of the ambient names, where one works on another tensor than `update`.
    """

    scope: Scope
    report: Report
    is_matrix: bool = True
    format: Format | None = None
    rules: Container[str] = ()
    subject: Scope | None = None

    def within(self, scope: Scope) -> Expressions:
        return replace(self, scope=scope)

    def value(self, node: ast.Expression) -> Value:
        """The value of any expression. Raises Abandoned when an error was reported."""
        self.report.spend(node.span)
        match node:
            case ast.Number(text):
                return scalar.Number(text)
            case ast.Name():
                return self._name(node)
            case ast.Text(value):
                return Text(value)
            case ast.Unary():
                return self._unary(node)
            case ast.Binary():
                return self._binary(node)
            case ast.Transpose(operand):
                self.refuse_in_otherwise("'", node.span)
                tensor = self.tensor(operand, "what `'` transposes")
                return typed.Transposed(tensor, tensor.dims.transposed)
            case ast.Index():
                return self._index(node)
            case ast.Call():
                return self._call(node)
            case ast.Tuple(items) | ast.List(items):
                return tuple(self.value(item) for item in items)
            case ast.Conditional():
                return self._conditional(node)
            case _:
                assert_never(node)

    def number(self, node: ast.Expression, purpose: str) -> scalar.Scalar:
        """A scalar that is not a condition."""
        value = self.value(node)
        if not is_scalar(value):
            self.report.abandon(errors_types.ExpectedScalar(node.span, describe(value), purpose))
        if is_condition(value):
            self.report.abandon(errors_types.ConditionAsNumber(node.span))
        return value

    def tensor(self, node: ast.Expression, purpose: str) -> typed.Tensor:
        value = self.value(node)
        if not is_tensor(value):
            self.report.abandon(errors_types.ExpectedTensor(node.span, describe(value), purpose))
        if is_condition(value):
            self.report.abandon(errors_types.ConditionAsNumber(node.span))
        return value

    def constant(self, node: ast.Expression, purpose: str) -> float:
        """The number that an expression has at compile time."""
        value = self.number(node, purpose)
        if not scalar.is_constant(value):
            self.report.abandon(errors_types.NotCompileTime(node.span, purpose))
        return scalar.evaluate(value, {})

    def count(self, node: ast.Expression, purpose: str) -> int:
        """A whole number that is not negative."""
        number = self.constant(node, purpose)
        if number != int(number) or number < 0:
            self.report.abandon(errors_types.ExpectedCount(node.span, f"{number:g}", purpose))
        return int(number)

    def items(self, node: ast.Expression, purpose: str) -> tuple[Value, ...]:
        value = self.value(node)
        if not isinstance(value, tuple):
            self.report.abandon(errors_types.ExpectedList(node.span, describe(value), purpose))
        return value

    def _name(self, node: ast.Name) -> Value:
        name = node.identifier
        binding = self.scope.find(name)
        if binding is None:
            return self._built_in(node)
        binding.is_read = True
        if binding.value is None:
            self.report.skip()
        if not isinstance(binding.value, typed.Variable):
            return binding.value
        tensor: typed.Tensor = typed.Read(binding.value)
        if self.format is None or is_condition(tensor):
            return tensor
        return typed.Convert(tensor, self.format, tensor.dims)

    def _built_in(self, node: ast.Name) -> Value:
        name = node.identifier
        if name not in BUILT_IN:
            known = {*self.scope.names(), *BUILT_IN}
            self.report.abandon(errors_names.UnknownName(node.span, name, closest(name, known)))
        value = BUILT_IN[name]
        if isinstance(value, scalar.Symbol) and value.kind == "shape" and name != "numel":
            self.refuse_in_otherwise(name, node.span)
        return value

    def refuse_in_otherwise(self, operation: str, span: Span) -> None:
        if not self.is_matrix:
            self.report.abandon(errors_types.MatrixOperationInOtherwise(span, operation))

    def _unary(self, node: ast.Unary) -> Value:
        value = self.value(node.operand)
        if node.operator == "not":
            self._require_conditions([(node.operand, value)])
        else:
            self._require_numbers(node.operator, [(node.operand, value)])
            if isinstance(value, scalar.Number) and not value.text.startswith("-"):
                return scalar.Number(f"-{value.text}")
        return self._apply(node, node.operator, (value,))

    def _binary(self, node: ast.Binary) -> Value:
        operands = [(node.left, self.value(node.left)), (node.right, self.value(node.right))]
        left, right = operands[0][1], operands[1][1]
        if node.operator == "@":
            return self._product(node, operands)
        if node.operator in ("and", "or"):
            self._require_conditions(operands)
        else:
            self._require_numbers(node.operator, operands)
        return self._apply(node, node.operator, (left, right))

    def _product(self, node: ast.Binary, operands: list[tuple[ast.Expression, Value]]) -> typed.Tensor:
        self.refuse_in_otherwise("@", node.span)
        for operand, value in operands:
            if not is_tensor(value) or is_condition(value):
                self.report.abandon(errors_types.NotAMatrix(operand.span, describe(value)))
        left, right = operands[0][1], operands[1][1]
        assert is_tensor(left)
        assert is_tensor(right)
        if left.dims.col != right.dims.row:
            shown = (str(left.dims), str(right.dims))
            is_repaired = left.dims.col == right.dims.col or left.dims.row == right.dims.row
            self.report.abandon(errors_types.InnerDimensionMismatch(node.span, *shown, is_repaired))
        return typed.Product(left, right, Dims(left.dims.row, right.dims.col))

    def _require_numbers(self, operation: str, operands: list[tuple[ast.Expression, Value]]) -> None:
        for operand, value in operands:
            if not is_scalar(value) and not is_tensor(value):
                self.report.abandon(errors_types.WrongKind(operand.span, describe(value), operation))
            if is_condition(value):
                self.report.abandon(errors_types.ConditionAsNumber(operand.span))

    def _require_conditions(self, operands: list[tuple[ast.Expression, Value]]) -> None:
        for operand, value in operands:
            if not is_condition(value):
                self.report.abandon(errors_types.ExpectedCondition(operand.span, describe(value)))

    def _apply(self, node: ast.Expression, function: str, operands: tuple[Value, ...]) -> Value:
        """A function of scalars is a scalar; with a tensor among the operands it works element by element."""
        if all(is_scalar(operand) for operand in operands):
            call = scalar.Call(function, tuple(operand for operand in operands if is_scalar(operand)))
            self._require_small(node, call)
            if function != "if":
                self._require_finite(node, call)
            return call
        dims = self._common_dims(node, function, operands)
        kept = tuple(operand for operand in operands if is_tensor(operand) or is_scalar(operand))
        is_mask = function in scalar.CONDITIONS or (function == "if" and is_condition(operands[1]))
        result = typed.Elementwise(function, kept, dims, is_mask)
        if function == "if" and self.format and not is_mask and not any(is_tensor(each) for each in operands[1:]):
            return typed.Convert(result, self.format, dims)
        return result

    def _common_dims(self, node: ast.Expression, function: str, operands: tuple[Value, ...]) -> Dims:
        dims = SCALAR
        for operand in operands:
            if is_tensor(operand):
                combined = broadcast(dims, operand.dims)
                if combined is None:
                    is_product = function == "*" and dims.col == operand.dims.row
                    shown = (str(dims), str(operand.dims), is_product)
                    self.report.abandon(errors_types.DimensionMismatch(node.span, function, *shown))
                dims = combined
        return dims

    def _require_small(self, node: ast.Expression, call: scalar.Call) -> None:
        """A name inside a name inside a name can double a scalar at each level; stop before that hurts."""
        pending: list[tuple[scalar.Scalar, int]] = [(call, 1)]
        size = deepest = 0
        while pending and size <= MAXIMUM_SCALAR and deepest <= MAXIMUM_SCALAR_DEPTH:
            part, depth = pending.pop()
            size, deepest = size + 1, max(deepest, depth)
            pending += [(inner, depth + 1) for inner in parts(part)]
        self.report.spend(node.span, size // 16)
        if size > MAXIMUM_SCALAR:
            self.report.abandon(
                errors_rules.ProgramTooLarge(node.span, f"a scalar has more than {MAXIMUM_SCALAR} parts")
            )
        if deepest > MAXIMUM_SCALAR_DEPTH:
            limit = f"a scalar is nested more than {MAXIMUM_SCALAR_DEPTH} levels deep"
            self.report.abandon(errors_rules.ProgramTooLarge(node.span, limit))

    def _require_finite(self, node: ast.Expression, call: scalar.Call) -> None:
        if not scalar.is_constant(call):
            return
        try:
            if call.function == "**":  # as floats first: powers of whole numbers have no end
                math.pow(*(scalar.evaluate(argument, {}) for argument in call.arguments))
            is_finite = math.isfinite(scalar.evaluate(call, {}))
        except (ArithmeticError, ValueError):
            is_finite = False
        if not is_finite:
            self.report.abandon(errors_types.UndefinedArithmetic(node.span, " ".join(node.span.text.split())))

    def _index(self, node: ast.Index) -> Value:
        items = self.items(node.value, "what is indexed")
        index = self.count(node.index, "an index")
        if index >= len(items):
            self.report.abandon(errors_types.IndexOutOfRange(node.index.span, index, len(items)))
        return items[index]

    def _conditional(self, node: ast.Conditional) -> Value:
        condition = self.value(node.condition)
        self._require_conditions([(node.condition, condition)])
        then, otherwise = self.value(node.then), self.value(node.otherwise)
        if is_scalar(condition) and scalar.is_constant(condition):
            return then if scalar.evaluate(condition, {}) else otherwise
        are_numeric = all(is_scalar(value) or is_tensor(value) for value in (then, otherwise))
        if not are_numeric or is_condition(then) != is_condition(otherwise):
            self.report.abandon(errors_types.BranchesDiffer(node.span, describe(then), describe(otherwise)))
        if not is_scalar(condition):
            return self._apply(node, "if", (condition, then, otherwise))
        if is_scalar(then) and is_scalar(otherwise):
            return self._apply(node, "if", (condition, then, otherwise))
        if is_tensor(then) and is_tensor(otherwise) and then.dims == otherwise.dims:
            return typed.Choose(condition, then, otherwise, then.dims)
        self.report.abandon(errors_types.BranchesDiffer(node.span, describe(then), describe(otherwise)))

    def _call(self, node: ast.Call) -> Value:
        name = node.function
        if name not in functions.USAGE:
            found, is_rule = closest(name, functions.USAGE), name in self.rules
            self.report.abandon(errors_names.UnknownFunction(node.span.word(name), name, found, is_rule))
        positional = [argument.value for argument in node.arguments if argument.name is None]
        named = {argument.name: argument.value for argument in node.arguments if argument.name is not None}
        if len(positional) + len(named) < len(node.arguments):
            self.misused(node)
        if name in functions.LISTS:
            return list_call(node, self)
        if name in functions.WHOLES:
            return whole_call(node, self)
        if name in functions.REDUCTIONS and len(positional) == 1:
            return self._reduction(node, positional[0], named)
        expected = {"lerp": 3, **dict.fromkeys(functions.UNARY, 1)}.get(name)
        if named or (len(positional) != expected if expected else len(positional) < 2):
            self.misused(node)
        values = [(argument, self.value(argument)) for argument in positional]
        self._require_numbers(name, values)
        operands = tuple(value for _, value in values)
        if name == "lerp" and any(is_tensor(operand) for operand in operands):
            for end, value in values[:2]:
                if not is_tensor(value):
                    purpose = "where one argument of `lerp` is a tensor, each end"
                    self.report.abandon(errors_types.ExpectedTensor(end.span, "a scalar", purpose))
        return self._apply(node, name, operands)

    def misused(self, node: ast.Call) -> NoReturn:
        usage = functions.USAGE[node.function]
        self.report.abandon(errors_types.WrongArgumentCount(node.span, node.function, usage))

    def _reduction(self, node: ast.Call, argument: ast.Expression, named: dict[str, ast.Expression]) -> Value:
        if set(named) - {"over"}:
            self.misused(node)
        operand = self.tensor(argument, f"what `{node.function}` reduces")
        function = functions.REDUCTIONS[node.function]
        if "over" not in named:
            return typed.Reduce(function, operand, None, SCALAR)
        self.refuse_in_otherwise("over", named["over"].span)
        axis = self._axis(named["over"], operand.dims)
        dims = reduced(operand.dims, axis)
        if dims is None:
            self.report.abandon(errors_types.BadReductionAxis(named["over"].span, axis, f"a {operand.dims} tensor"))
        return typed.Reduce(function, operand, axis, dims)

    def _axis(self, node: ast.Expression, dims: Dims) -> Axis:
        """`first` and `last` are `rows` and `cols` where the tensor has these there."""
        axes: dict[str, Axis] = {"rows": "rows", "cols": "cols", "short": "short", "long": "long"}
        axes["first"] = "rows" if dims.row == ROWS else "first"
        axes["last"] = "cols" if dims.col == COLS else "last"
        name = node.identifier if isinstance(node, ast.Name) else node.span.text
        if name not in axes:
            self.report.abandon(errors_types.BadReductionAxis(node.span, name, f"a {dims} tensor"))
        return axes[name]
