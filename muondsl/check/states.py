"""Declarations of states, and number formats by their names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from muondsl.check import typed
from muondsl.check.values import NumberFormat, is_condition, is_scalar
from muondsl.diagnostics import errors_names, errors_types
from muondsl.diagnostics.diagnostic import closest
from muondsl.diagnostics.span import Span
from muondsl.ir import scalar
from muondsl.ir.types import FORMATS, MATRIX, STATE_SHAPES, Format
from muondsl.parse import ast

if TYPE_CHECKING:
    from muondsl.check.expressions import Expressions

TORCH_NAMES = {
    "bfloat16": "bf16",
    "float16": "fp16",
    "half": "fp16",
    "float32": "fp32",
    "float": "fp32",
    "float64": "fp64",
}
"""Number formats by the names that they have elsewhere."""


def check_state(node: ast.State, number: int, within: Expressions) -> typed.State:
    """The state as declared. Raises Abandoned after reporting."""
    shape = _shape(node.shape, within) if node.shape else ""
    dims = STATE_SHAPES[shape] if shape else MATRIX
    dtype = number_format(node.dtype, _after_colon(node), within) if node.dtype else None
    variable = typed.Variable(node.name, number, "state", dims)
    initial = _initial(node, within, is_whole=dims == MATRIX)
    return typed.State(variable, dtype, initial, shape or "rows, cols", node.span.word(node.name))


def number_format(name: str, span: Span, within: Expressions) -> Format:
    binding = within.scope.find(name)
    if binding and isinstance(binding.value, NumberFormat):
        binding.is_read = True
        return binding.value.name
    for known in FORMATS:
        if name == known:
            return known
    near = TORCH_NAMES.get(name) or closest(name, FORMATS)
    within.report.abandon(errors_names.UnknownDtype(span, name, near))


def _shape(dims: tuple[ast.Expression, ...], within: Expressions) -> str:
    """The shape as `STATE_SHAPES` spells it."""
    shape = ", ".join(" ".join(dim.span.text.split()) for dim in dims)
    span = dims[0].span.to(dims[-1].span)
    if shape not in STATE_SHAPES:
        within.report.abandon(errors_types.BadStateShape(span, shape))
    if shape not in ("1, 1", "rows, cols"):
        within.refuse_in_otherwise(f"[{shape}]", span)
    return shape


def _initial(node: ast.State, within: Expressions, *, is_whole: bool) -> typed.Initial:
    match node.initial:
        case ast.Name("zeros"):
            return scalar.ZERO
        case ast.Name("ones"):
            return scalar.ONE
        case ast.Name("gradient" | "parameter" as word) if is_whole:
            return "gradient" if word == "gradient" else "parameter"
    value = within.value(node.initial)
    if not is_scalar(value) or is_condition(value) or not scalar.is_constant(value):
        within.report.abandon(errors_types.BadInitialValue(node.initial.span))
    return value


def _after_colon(node: ast.State) -> Span:
    """The number format of a state, which stands between what is before it and the initial value."""
    begin = node.shape[-1].span.end if node.shape else node.span.start + len("state")
    between = Span(node.span.source, begin, node.initial.span.start)
    colon = between.text.find(":")
    return Span(between.source, between.start + max(0, colon), between.end).word(node.dtype or "")
