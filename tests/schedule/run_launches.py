"""Carries out a plan of launches in float64: tensors by name, written in place, one launch after the other.

What a GPU would get wrong shows here: a tensor that is read before it is written or after something else is in it, a
load from elsewhere than where the kernel stores, a value whose kernel runs over something else, a product called
symmetric that is not, a source that an iteration has written over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from muondsl.ir import program as ir
from muondsl.ir.interpreter import interpret
from muondsl.ir.types import MATRIX, Dim, Dims, Type
from muondsl.schedule.launches import Access, Elementwise, Iterate, LaunchPlan, Operand, Product
from muondsl.schedule.places import is_square

Hypers = Mapping[str, float | tuple[float, ...]]


def run_launches(
    plan: LaunchPlan, parameter: Tensor, gradient: Tensor, states: Mapping[str, Tensor], hypers: Hypers, step: int
) -> dict[str, Tensor]:
    """The new parameter and states of one parameter. Nothing that is passed in is changed."""
    run = _Run(plan, parameter, gradient.double(), hypers, step)
    run.tensors = {name: tensor.double().clone() for name, tensor in states.items()}
    run.tensors |= {"parameter": parameter.double().clone(), "gradient": gradient.double().clone()}
    for launch in plan.launches:
        match launch:
            case Elementwise():
                run.elementwise(launch)
            case Product():
                run.product(launch)
            case Iterate():
                run.iterate(launch)
    assert torch.equal(run.tensors["gradient"], gradient.double()), "the gradient was changed"
    return {result.target: run.tensors[result.target] for result in plan.program.results}


@dataclass
class _Run:
    plan: LaunchPlan
    parameter: Tensor
    gradient: Tensor
    hypers: Hypers
    step: int
    tensors: dict[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.table = self.plan.program.table()
        self.stored = {buffer.name: buffer.dims for buffer in self.plan.buffers}
        self.stored |= {state.name: state.type.dims for state in self.plan.program.states}
        self.stored |= {"parameter": MATRIX, "gradient": MATRIX}
        self.is_matrix = self.plan.program.route == "matrix"
        names = [buffer.name for buffer in self.plan.buffers]
        assert (
            len({*names, "parameter", "gradient", *(s.name for s in self.plan.program.states)})
            == len(names) + len(self.plan.program.states) + 2
        ), f"a name is given twice: {names}"

    # Sizes.

    def size(self, dim: Dim) -> int:
        rows, cols = self.parameter.shape
        return {"rows": rows, "cols": cols, "1": 1}[dim.tall if rows >= cols else dim.wide]

    def shape(self, dims: Dims) -> tuple[int, ...]:
        if not self.is_matrix:
            return tuple(self.parameter.shape) if dims.is_matrix else (1,) * self.parameter.ndim
        return self.size(dims.row), self.size(dims.col)

    def turned(self, tensor: Tensor, have: Dims, want: Dims) -> Tensor:
        """A tensor of some dimensions as one of others, where these are the same matrix turned round."""
        is_tall = self.is_matrix and self.parameter.shape[0] > self.parameter.shape[1]
        oriented = tensor.mT if is_tall else tensor
        ways = {have.oriented.transposed: oriented.mT, have.oriented: oriented} if self.is_matrix else {}
        ways |= {have.transposed: tensor.mT, have: tensor} if self.is_matrix else {have: tensor}
        assert want in ways, f"{have} cannot be read as {want}"
        return ways[want]

    def key(self, dims: Dims) -> tuple[str, Dims | None]:
        """What a kernel runs over that has values of these dimensions as its own."""
        if dims.is_number:
            return "number", None
        if not self.is_matrix:
            return "flat", None
        if dims.is_vector:
            return "vector", Dims(dims.length, Dim("1", "1"))
        return "tiles", dims if is_square(dims) else MATRIX

    # Elementwise launches.

    def load(self, access: Access) -> Tensor:
        assert access.tensor in self.tensors, f"{access.tensor} is read before it is written"
        want = self.table[access.value].type.dims
        buffer = self.plan.buffer(access.tensor)
        if buffer is not None and buffer.parts:
            return self.tensors[access.tensor]
        return self.turned(self.tensors[access.tensor], self.stored[access.tensor], want).clone()

    def elementwise(self, launch: Elementwise) -> None:
        own = (launch.domain, launch.dims if launch.domain in ("tiles", "vector") else None)
        loads = {access.value: self.load(access) for access in launch.loads}
        assert len(loads) == len(launch.loads), "a value is loaded twice"
        inputs = tuple(
            ir.Definition(value, ir.Input("state", value), self.table[value].type, ir.Origin("", "")) for value in loads
        )
        partials = tuple(each.definition for each in launch.partials)
        results = [access.value for access in launch.stores] + [each.value for each in partials]
        program = ir.Program(
            self.plan.program.route,
            (*inputs, *launch.body, *partials),
            (),
            tuple(ir.Result(value, value) for value in dict.fromkeys(results)),
        )
        found = interpret(program, self.parameter, self.gradient, loads, self.hypers, self.step)
        self.check_places(launch, own)
        targets = [access.tensor for access in launch.stores] + [each.tensor for each in launch.partials]
        assert len(set(targets)) == len(targets), f"a kernel stores two values in one tensor: {targets}"
        for access in launch.stores:
            dims = self.table[access.value].type.dims
            value = found[access.value].expand(self.shape(dims))
            self.tensors[access.tensor] = self.turned(value, dims, self.stored[access.tensor]).clone()
        for partial in launch.partials:
            buffer = self.plan.buffer(partial.tensor)
            assert buffer is not None
            assert buffer.parts == partial.reduction
            self.tensors[partial.tensor] = found[partial.definition.value]

    def check_places(self, launch: Elementwise, own: tuple[str, Dims | None]) -> None:
        """Every program loads, computes and stores at places of its own, or what is one number for many places."""
        stored = {access.tensor for access in launch.stores} | {each.tensor for each in launch.partials}
        dims = {each.value: each.type.dims for each in self.plan.program.definitions}
        for access in launch.stores:
            assert self.key(dims[access.value]) == own, f"{access} is not stored where {launch.name} runs"
            assert self.key(self.stored[access.tensor]) == own, f"{access} is stored in another form"
        for partial in launch.partials:
            assert self.key(dims[partial.reduction.operand]) == own, f"{partial.tensor} is not of {launch.name}"
            if launch.domain == "tiles" and partial.reduction.axis is not None:
                assert launch.walk == partial.reduction.axis
        for access in launch.loads:
            if access.tensor in stored:
                assert self.key(dims[access.value]) == own, f"{access.tensor} is read at many places and written"
        for definition in launch.body:
            assert self.is_at_hand(definition.type, own), f"{definition.value} has no place in {launch.name}"
            assert not isinstance(definition.operation, ir.Input | ir.Reduce | ir.MatMul | ir.Gemm | ir.Quintic)
            operation = definition.operation
            if isinstance(operation, ir.Transpose) and is_square(definition.type.dims):
                (tensor,) = (each.tensor for each in launch.loads if each.value == operation.operand)
                assert tensor not in stored, f"{tensor} is read transposed and written"
                assert self.stored[tensor] == definition.type.dims

    def is_at_hand(self, kind: Type, own: tuple[str, Dims | None]) -> bool:
        """Whether a program that runs over `own` has the elements of a value."""
        if kind.dims.is_number or self.key(kind.dims) == own:
            return True
        if own[0] != "tiles" or not kind.dims.is_vector or own[1] is None:
            return False
        if own[1] == MATRIX:
            return True
        return kind.dims.length == own[1].row

    # Products.

    def operand(self, operand: Operand) -> Tensor:
        assert operand.tensor in self.tensors, f"{operand.tensor} is read before it is written"
        assert self.plan.buffer(operand.tensor), f"{operand.tensor} is no workspace"
        tensor = self.tensors[operand.tensor]
        return tensor.mT if operand.is_transposed else tensor

    def product(self, launch: Product) -> None:
        value = launch.alpha * (self.operand(launch.left) @ self.operand(launch.right))
        formats = {self.format(launch.left.tensor), self.format(launch.right.tensor), self.format(launch.result)}
        if launch.addend:
            addend = self.operand(Operand(launch.addend, is_transposed=False))
            assert addend.shape == value.shape
            value = value + launch.beta * addend
            formats.add(self.format(launch.addend))
        assert len(formats) == 1, f"a product of several formats: {formats}"
        if launch.is_symmetric:
            torch.testing.assert_close(value, value.mT, rtol=1e-9, atol=1e-9 * float(value.abs().max()))
        assert launch.result not in (launch.left.tensor, launch.right.tensor, launch.addend)
        assert value.shape == self.shape(self.stored[launch.result])
        dims = self.table[launch.definition.value].type.dims
        assert self.stored[launch.result] in (dims, dims.transposed)
        self.tensors[launch.result] = value

    def format(self, name: str) -> str:
        buffer = self.plan.buffer(name)
        assert buffer is not None, f"{name} is no workspace"
        return str(buffer.dtype)

    def iterate(self, launch: Iterate) -> None:
        x = self.operand(Operand(launch.source, is_transposed=False))
        assert self.format(launch.source) == self.format(launch.result), "an iteration of two formats"
        assert self.stored[launch.source] == self.stored[launch.result] == MATRIX.oriented
        assert x.shape[0] <= x.shape[1]
        if launch.divisor:
            x = x / self.operand(Operand(launch.divisor, is_transposed=False))
        for a, b, c in launch.quintic.coefficients:
            s = x @ x.mT
            x = float(a.text) * x + (float(b.text) * s + float(c.text) * (s @ s)) @ x
        assert launch.result != launch.source
        assert launch.result not in self.tensors
        del self.tensors[launch.source]
        self.tensors[launch.result] = x
