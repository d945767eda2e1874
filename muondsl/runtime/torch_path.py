"""The torch path of a step: one parameter after the other, each matrix in it on its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from muondsl.runtime.amp import Scaling, loaded_gradient
from muondsl.runtime.declarations import HyperValue
from muondsl.runtime.numbers import numbers_of
from muondsl.runtime.precision import Worked
from muondsl.runtime.views import View, WorkedMatrices

if TYPE_CHECKING:
    from muondsl.runtime.optimizer import SpecOptimizer

Hypers = Mapping[str, HyperValue]


def step_with_torch(optimizer: SpecOptimizer, chosen: Mapping[int, Sequence[Tensor]], scaling: Scaling) -> None:
    """Steps parameters, which are given by the number of their group. `scaling` is read."""
    if scaling.is_skipped:
        return
    numbers = numbers_of(optimizer.param_groups)
    for place, parameters in chosen.items():
        group = optimizer.param_groups[place]
        hypers = {hyper.name: hyper.number(group[hyper.name]) for hyper in optimizer.hypers}
        for parameter in parameters:
            number = numbers[id(parameter)]
            _step_parameter(optimizer, group["route"], parameter, hypers, scaling.factor(group), number)


def _step_parameter(
    optimizer: SpecOptimizer, route: str, parameter: Tensor, hypers: Hypers, factor: float, number: int
) -> None:
    gradient = parameter.grad
    assert gradient is not None
    state = optimizer.ready_state(route, parameter, gradient, factor)
    step = 1
    if optimizer.counts_steps_of(route, parameter):
        state["step"] += 1
        step = int(state["step"].item())
    worked = Worked(optimizer.precision, parameter, state, optimizer.states[route])
    loaded = loaded_gradient(gradient, worked.parameter.dtype, factor)
    view = optimizer.view_of(parameter)
    if view.steps:
        _step_matrices(optimizer, view, worked.parameter, loaded, worked.state, hypers, step)
    else:
        optimizer.update_parameter(route, worked.parameter, loaded, worked.state, hypers, step)
    worked.write_back(step, number)


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
