"""The oracle: what a program means, computed in float64, one definition after the other. Slow, obvious, and what
decides. The only module of this package that needs torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

import torch
from torch import Tensor

from muondsl.ir import program as ir
from muondsl.ir.scalar import Scalar, Symbol, evaluate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from muondsl.ir.types import DType

MAPS: dict[str, Callable[..., Tensor]] = {
    "+": torch.add,
    "*": torch.mul,
    "/": torch.div,
    "**": torch.pow,
    "<": torch.lt,
    "<=": torch.le,
    ">": torch.gt,
    ">=": torch.ge,
    "==": torch.eq,
    "!=": torch.ne,
    "and": torch.logical_and,
    "or": torch.logical_or,
    "not": torch.logical_not,
    "if": torch.where,
    "abs": torch.abs,
    "copy": torch.clone,
    "sqrt": torch.sqrt,
    "exp": torch.exp,
    "log": torch.log,
    "tanh": torch.tanh,
    "floor": torch.floor,
    "sign": torch.sign,
}
REDUCTIONS: dict[str, Callable[..., Tensor]] = {
    "sum": torch.sum,
    "mean": torch.mean,
    "max": torch.amax,
    "min": torch.amin,
}
WHOLES: dict[str, Callable[..., Tensor]] = {
    "identity": lambda square: torch.eye(len(square), dtype=square.dtype),
    "trace": lambda square: square.trace().reshape(1, 1),
    "solve_lower": lambda triangle, right: torch.linalg.solve_triangular(triangle, right, upper=False),
    "kth_value": lambda x, k: x.flatten().kthvalue(int(k)).values.reshape((1,) * x.ndim),
    "svd": lambda x: x,
    "svd_left": lambda x: torch.linalg.svd(x, full_matrices=False).U,
    "svd_values": lambda x: torch.linalg.svd(x, full_matrices=False).S.unsqueeze(-2),
    "svd_right": lambda x: torch.linalg.svd(x, full_matrices=False).Vh,
}
"""A decomposition stands here as the matrix itself: each part is taken of it anew, and they fit each other."""


def initial_state(program: ir.Program, parameter: Tensor, gradient: Tensor) -> dict[str, Tensor]:
    """The states that the first step finds, in float64, for a parameter of any shape."""
    states = {}
    for state in program.states:
        if state.initial in ("gradient", "parameter"):
            start = gradient if state.initial == "gradient" else parameter
            states[state.name] = start.detach().double().clone()
            continue
        assert not isinstance(state.initial, str)
        shape = _shape(state, parameter)
        states[state.name] = torch.full(shape, float(evaluate(state.initial, {})), dtype=torch.float64)
    return states


def _shape(state: ir.State, parameter: Tensor) -> tuple[int, ...]:
    if state.shape == "rows, cols":
        return tuple(parameter.shape)
    if state.shape == "1, 1":
        return (1,) * parameter.ndim
    rows, cols = parameter.shape
    dims = state.type.dims
    sizes = {"rows": rows, "cols": cols, "1": 1}
    pair = (dims.row.tall, dims.col.tall) if rows >= cols else (dims.row.wide, dims.col.wide)
    return sizes[pair[0]], sizes[pair[1]]


def interpret(
    program: ir.Program,
    parameter: Tensor,
    gradient: Tensor,
    states: Mapping[str, Tensor],
    hypers: Mapping[str, float | tuple[float, ...]],
    step: int,
    noise: Noise | None = None,
) -> dict[str, Tensor]:
    """One step in float64: the new parameter under `parameter`, and the new states under their names.

    `step` counts from one. Nothing that is passed in is changed. With `noise`, every value is off by what rounding it
    to the format of its definition may do: an error that the algorithm then shows is its own, in these formats.
    """
    inputs = {"parameter": parameter.double(), "gradient": gradient.double(), **states}
    scalars = _symbols(parameter, hypers, step)
    values: dict[ir.Value, Tensor] = {}
    for definition in program.definitions:
        value = _apply(definition.operation, values, inputs, scalars)
        values[definition.value] = value if noise is None else noise.disturb(value, definition.type.dtype)
    return {result.target: values[result.value].clone() for result in program.results}


FORMATS = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32, "fp64": torch.float64}


class Noise:
    """Random relative errors of up to half a unit in the last place, and what is smaller than a format's normal numbers
    at random at one of its two neighbours; `parameter` is the format of the parameter.
    """

    def __init__(self, parameter: torch.dtype, seed: int) -> None:
        self.parameter = parameter
        self.generator = torch.Generator().manual_seed(seed)

    def disturb(self, value: Tensor, dtype: DType) -> Tensor:
        if dtype.is_mask:
            return value
        fixed = FORMATS[dtype.fixed] if dtype.fixed else self.parameter
        target = torch.promote_types(fixed, self.parameter) if dtype.follows_parameter else fixed
        signed = 2 * torch.rand(value.shape, generator=self.generator, dtype=torch.float64) - 1
        limits = torch.finfo(target)
        spacing = limits.smallest_normal * limits.eps
        subnormal = spacing * torch.round(value / spacing + signed / 2)
        return torch.where(value.abs() < limits.smallest_normal, subnormal, value * (1 + signed * limits.eps / 2))


def _symbols(parameter: Tensor, hypers: Mapping[str, float | tuple[float, ...]], step: int) -> dict[Symbol, float]:
    scalars: dict[Symbol, float] = {Symbol("step", "step"): step, Symbol("numel", "shape"): parameter.numel()}
    if parameter.ndim == 2:
        scalars[Symbol("rows", "shape")], scalars[Symbol("cols", "shape")] = parameter.shape
    for name, value in hypers.items():
        if isinstance(value, tuple):
            scalars.update({Symbol(name, "hyper", index): item for index, item in enumerate(value)})
        else:
            scalars[Symbol(name, "hyper")] = value
    return scalars


def _apply(
    operation: ir.Operation,
    values: Mapping[ir.Value, Tensor],
    inputs: Mapping[str, Tensor],
    scalars: Mapping[Symbol, float],
) -> Tensor:
    def number(part: Scalar) -> float:
        return evaluate(part, scalars)

    match operation:
        case ir.Input(role, name):
            return inputs[name if role == "state" else role]
        case ir.Convert(operand):
            return values[operand]
        case ir.Map(function, parts):
            operands = [
                values[part] if isinstance(part, str) else torch.tensor(number(part), dtype=_dtype(number(part)))
                for part in parts
            ]
            return _map(function, operands)
        case ir.Reduce(function, operand, axis):
            return _reduce(function, values[operand], axis, scalars)
        case ir.Whole(function, parts):
            return WHOLES[function](*(values[part] if isinstance(part, str) else number(part) for part in parts))
        case ir.MatMul(left, right):
            return values[left] @ values[right]
        case ir.Gemm(alpha, left, right, beta, addend):
            return number(alpha) * (values[left] @ values[right]) + number(beta) * values[addend]
        case ir.Quintic(operand, divisor, coefficients):
            start = values[operand] / values[divisor] if divisor else values[operand]
            return _quintic(start, [[number(each) for each in step] for step in coefficients])
        case ir.Transpose(operand):
            return values[operand].mT
        case ir.Orient(operand):
            is_tall = scalars[Symbol("rows", "shape")] > scalars[Symbol("cols", "shape")]
            return values[operand].mT if is_tall else values[operand]
        case ir.Choose(condition, then, otherwise):
            return values[then] if number(condition) else values[otherwise]
        case _:
            assert_never(operation)


def _quintic(x: Tensor, coefficients: list[list[float]]) -> Tensor:
    for a, b, c in coefficients:
        s = x @ x.mT
        x = a * x + (b * s + c * (s @ s)) @ x
    return x


def _dtype(number: float) -> torch.dtype:
    return torch.bool if isinstance(number, bool) else torch.float64


def _map(function: str, operands: list[Tensor]) -> Tensor:
    if function == "-":
        return -operands[0] if len(operands) == 1 else operands[0] - operands[1]
    if function == "full":
        return operands[0].expand_as(operands[1])
    if function == "add_scaled":
        return operands[0] + operands[2] * operands[1]
    if function == "lerp":
        start, end, weight = operands
        return start + weight * (end - start)
    if function in ("min", "max"):
        extremum = torch.minimum if function == "min" else torch.maximum
        result = operands[0]
        for operand in operands[1:]:
            result = extremum(result, operand)
        return result
    return MAPS[function](*operands)


def _reduce(function: str, operand: Tensor, axis: str | None, scalars: Mapping[Symbol, float]) -> Tensor:
    over: tuple[int, ...] = tuple(range(operand.ndim))
    if axis in ("first", "last"):
        over = (-2,) if axis == "first" else (-1,)
    elif axis is not None:
        is_tall = scalars[Symbol("rows", "shape")] >= scalars[Symbol("cols", "shape")]
        over = (-1,) if axis == "cols" or axis == ("short" if is_tall else "long") else (-2,)
    if function == "norm":
        return operand.square().sum(over, keepdim=True).sqrt()
    return REDUCTIONS[function](operand, over, keepdim=True)
