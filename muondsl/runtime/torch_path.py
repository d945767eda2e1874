"""The torch path of a step. On a CPU parameters are stepped side by side, and small ones of one shape by one call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from muondsl.runtime.amp import Scaling, loaded_gradient
from muondsl.runtime.choose_products import choose_products
from muondsl.runtime.declarations import HyperValue
from muondsl.runtime.live_bytes import LiveBytes
from muondsl.runtime.numbers import numbers_of
from muondsl.runtime.precision import Worked
from muondsl.runtime.processor import this_processor
from muondsl.runtime.side_by_side import Task, side_by_side
from muondsl.runtime.views import View, WorkedMatrices

if TYPE_CHECKING:
    from muondsl.runtime.optimizer import SpecOptimizer

Hypers = Mapping[str, HyperValue]

LARGEST_STACKED = 128 * 128
"""Above these elements a copy costs more than a call."""

FEWEST_STACKED = 8
"""So many calls cost more than the copies into a stack and out of it."""

MOST_STACKED = 2**18
"""The elements of a stack, which fit a cache, and leave some for other threads."""

ELEMENT_BYTES = 100
"""What a step reads and writes of each element, about, one operation after the other."""

PIECE_ELEMENTS = 2**16
"""The elements of a piece of an elementwise step, for each thread."""


def step_with_torch(optimizer: SpecOptimizer, chosen: Mapping[int, Sequence[Tensor]], scaling: Scaling) -> None:
    """Steps parameters, which are given by the number of their group. `scaling` is read."""
    if scaling.is_skipped:
        return
    numbers = numbers_of(optimizer.param_groups)
    members: list[_Member] = []
    for place, parameters in chosen.items():
        own = optimizer.param_groups[place]
        hypers = {hyper.name: hyper.number(own[hyper.name]) for hyper in optimizer.hypers}
        group = _Group(optimizer, place, own["route"], hypers, scaling.factor(own))
        members += [_Member(group, parameter, numbers[id(parameter)]) for parameter in parameters]
    tasks: list[Task] = []
    elsewhere: list[list[_Member]] = []
    workspace = optimizer.backend.options.workspace
    for stack in _stacks(members, None if workspace is None else workspace // torch.get_num_threads()):
        if stack[0].parameter.device.type != "cpu":
            elsewhere.append(stack)
            continue
        needed = 0 if workspace is None else _needed(stack)
        tasks.append(Task(len(stack) * stack[0].cost, partial(_step_together, stack), needed))
        if workspace is not None and needed > workspace:
            raise RuntimeError(
                f"a parameter of size {tuple(stack[0].parameter.shape)} needs {needed} bytes while it is stepped, but "
                f"workspace is {workspace}"
            )
    for stack in elsewhere:
        _step_together(stack)
    side_by_side(tasks, workspace)


@dataclass(frozen=True, slots=True)
class _Group:
    """What a group's parameters have in common. `factor` is that of their gradients."""

    optimizer: SpecOptimizer
    place: int
    route: str
    hypers: Hypers
    factor: float


class _Member:
    """A parameter whose states are there. `number` is that in the optimizer, `step` that of the step to be taken."""

    def __init__(self, group: _Group, parameter: Tensor, number: int) -> None:
        assert parameter.grad is not None
        self.group, self.parameter, self.gradient, self.number = group, parameter, parameter.grad, number
        optimizer, route = group.optimizer, group.route
        self.view = optimizer.view_of(parameter)
        self.state: Mapping[str, Tensor] = optimizer.ready_state(route, parameter, self.gradient, group.factor)
        self.counts = optimizer.counts_steps_of(route, parameter)
        self.step = int(self.state["step"].item()) + 1 if self.counts else 1

    def on_meta(self) -> _Member:
        """The same without memory."""
        found = copy(self)
        found.parameter, found.gradient = _without_memory(self.parameter), _without_memory(self.gradient)
        found.state = {name: _without_memory(each) for name, each in self.state.items()}
        return found

    @property
    def cost(self) -> float:
        """Seconds, roughly: of products, and of elements that are read and written several times."""
        optimizer, route, parameter = self.group.optimizer, self.group.route, self.parameter
        processor = this_processor()
        seconds = parameter.numel() * ELEMENT_BYTES / processor.bandwidth
        iterations = optimizer.iterations.get(route)
        for rows, cols in optimizer.matrices_of(route, parameter):
            short, long = sorted((rows, cols))
            if iterations is None:
                seconds += 30 * short * short * long / processor.rate(torch.float32).flops
            else:
                for each in iterations:
                    dtype = each.computed_dtype(parameter.dtype)
                    seconds += choose_products(each, short, long, dtype, parameter.device).seconds
        return seconds

    @property
    def key(self) -> object:
        """What those have in common that one call can step; None where it can step no more than this one."""
        group, parameter = self.group, self.parameter
        if most_stacked(group.optimizer, group.route, parameter) == 1:
            return None
        return group.place, parameter.shape, parameter.dtype, self.gradient.dtype, self.step

    @property
    def layout(self) -> object:
        """What decides how much memory a step takes."""
        tensors = (self.parameter, self.gradient, *self.state.values())
        layouts = tuple((each.shape, each.stride(), each.dtype) for each in tensors)
        return self.group.route, str(self.view), self.group.factor != 1, torch.get_num_threads(), layouts

    def worked(self) -> tuple[Worked, Tensor]:
        """What a step is computed with, and the gradient."""
        optimizer, route = self.group.optimizer, self.group.route
        worked = Worked(optimizer.precision, self.parameter, self.state, optimizer.states[route])
        return worked, loaded_gradient(self.gradient, worked.parameter.dtype, self.group.factor)

    def step_alone(self) -> None:
        optimizer, route, hypers = self.group.optimizer, self.group.route, self.group.hypers
        worked, gradient = self.worked()
        if self.view.steps:
            _step_matrices(optimizer, self.view, worked.parameter, gradient, worked.state, hypers, self.step)
        else:
            names = [state.name for state in optimizer.states[route]]
            tensors = (worked.parameter, gradient, *(worked.state[name] for name in names))
            for parameter, own, *states in _pieces(tensors) if route in optimizer.elementwise else (tensors,):
                state = dict(zip(names, states, strict=True))
                optimizer.update_parameter(route, parameter, own, state, hypers, self.step)
        self.finish(worked)

    def finish(self, worked: Worked) -> None:
        worked.write_back(self.step, self.number)
        if self.counts:
            self.state["step"] += 1


def most_stacked(optimizer: SpecOptimizer, route: str, parameter: Tensor) -> int:
    """How many of one kind may be stepped by one call; 1 where no two may."""
    is_small = parameter.device.type == "cpu" and parameter.numel() <= LARGEST_STACKED
    if not is_small or route not in optimizer.stacks or optimizer.view_of(parameter).steps:
        return 1
    return MOST_STACKED // parameter.numel()


def _stacks(members: Sequence[_Member], bound: int | None) -> Iterator[list[_Member]]:
    """Those that are stepped by one call, in pieces of moderate size that need no more bytes than the bound. Few of one
    kind are stepped one by one.
    """
    kinds: dict[object, list[_Member]] = {}
    for number, member in enumerate(members):
        key = member.key
        kinds.setdefault((number,) if key is None else key, []).append(member)
    for found in kinds.values():
        group, parameter = found[0].group, found[0].parameter
        size = most_stacked(group.optimizer, group.route, parameter) if len(found) >= FEWEST_STACKED else 1
        while size > 1 and bound is not None and _needed(found[:size]) > bound:
            size = min(size, len(found)) // 2
        yield from (found[begin : begin + size] for begin in range(0, len(found), size))


def _needed(stack: Sequence[_Member]) -> int:
    """The bytes that are asked for at the height of a step."""
    known = stack[0].group.optimizer.backend.needed
    key = (len(stack), stack[0].layout)
    if key not in known:
        stand_ins = [member.on_meta() for member in stack]
        with LiveBytes() as live:
            _step_together(stand_ins)
        known[key] = live.peak
    return known[key]


def _without_memory(tensor: Tensor) -> Tensor:
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")


def _step_together(stack: Sequence[_Member]) -> None:
    if len(stack) > 1:
        _step_stack(stack)
    else:
        stack[0].step_alone()


def _step_stack(members: Sequence[_Member]) -> None:
    """Steps parameters of one kind as [parameters, …], by copies."""
    group = members[0].group
    worked, gradients = zip(*(member.worked() for member in members), strict=True)
    names = [state.name for state in group.optimizer.states[group.route]]
    parameters = torch.stack([each.parameter for each in worked])
    states = {name: torch.stack([each.state[name] for each in worked]) for name in names}
    group.optimizer.update_parameter(
        group.route, parameters, torch.stack(gradients), states, group.hypers, members[0].step
    )
    torch._foreach_copy_([each.parameter for each in worked], list(parameters.unbind()))
    for name, state in states.items():
        torch._foreach_copy_([each.state[name] for each in worked], list(state.unbind()))
    for member, each in zip(members, worked, strict=True):
        member.finish(each)


def _pieces(tensors: Sequence[Tensor]) -> Iterator[Sequence[Tensor]]:
    """Large tensors of one shape on a CPU, cut alike if their elements are in order, so that what is computed on the
    way to a result stays in caches. Bits are those that one thread gives tensors as they are.
    """
    size = PIECE_ELEMENTS * torch.get_num_threads()
    is_large = tensors[0].device.type in ("cpu", "meta") and tensors[0].numel() > size
    if not is_large or not all(each.is_contiguous() for each in tensors):
        yield tensors
        return
    yield from zip(*(each.view(-1).split(size) for each in tensors), strict=True)


def _step_matrices(
    optimizer: SpecOptimizer,
    view: View,
    parameter: Tensor,
    gradient: Tensor,
    state: Mapping[str, Tensor],
    hypers: Hypers,
    step: int,
) -> None:
    """Steps each of the matrices that are seen in a parameter."""
    matrices, states = view.shapes(parameter.shape), optimizer.states["matrix"]
    worked = {each.name: WorkedMatrices(view, state[each.name]) for each in states if each.is_full}
    parts = {each.name: each.parts(state[each.name], view, matrices) for each in states if not each.is_full}
    parts |= {name: each.matrices for name, each in worked.items()}
    worked["parameter"] = WorkedMatrices(view, parameter)
    for index, matrix in enumerate(WorkedMatrices(view, gradient).matrices):
        own = {name: each[index] for name, each in parts.items()}
        optimizer.update_parameter("matrix", worked["parameter"].matrices[index], matrix, own, hypers, step)
    for each in worked.values():
        each.write_back()
