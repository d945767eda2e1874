"""How far a spec, and how far its reference, carries a parameter in ten steps, each on the same gradients."""

from __future__ import annotations

import inspect
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor

from muondsl.ir.types import Format
from tests.family.entry import Entry, HyperValue, Shape, Step
from tests.parity.trajectories import gradient, loaded, scheduled_lr, start

STEPS = 10
FP32, FP64 = torch.float32, torch.float64

HYPERS: Mapping[str, HyperValue] = {"momentum": 0.9, "weight_decay": 0.5, "beta2": 0.9, "betas": (0.8, 0.9)}
"""What specs and references get of the hypers that they have, apart from the learning rate, which is scheduled."""


def uneven(shape: Shape, step: int) -> Tensor:
    """A gradient whose last row and column are zero, and those before them small: the update is zero in the ones, and
    its mean square near nanochat's ε in the others.
    """
    found = gradient(shape, step)
    for dim in (dim for dim, size in enumerate(shape) if size > 2):
        found.select(dim, -1).zero_()
        found.select(dim, -2).mul_(1e-4)
    return found


GRADIENTS: Mapping[str, Callable[[Shape, int], Tensor]] = {
    "ordinary": gradient,
    "uneven": uneven,
    "tiny": partial(gradient, size=1e-8),  # the momentum has a norm near each ε
    "huge": partial(gradient, size=1e3),  # no ε shows
}


def hypers_of(entry: Entry, route: str) -> dict[str, HyperValue]:
    """What is given to the hypers of the spec: what the entry says, else what all get, else their defaults."""
    given = {**HYPERS, **entry.hypers}
    defaults = default_group(entry.spec, route)
    return {name: given.get(name, default) for name, default in defaults.items() if name != "lr"}


def default_group(spec: str, route: str) -> dict[str, HyperValue]:
    """The hypers of a group of this route that nothing is said about."""
    kind = loaded(spec)
    (group,) = kind([{"params": [torch.nn.Parameter(torch.zeros(1, 1))], "route": route}]).param_groups
    return {hyper.name: group[hyper.name] for hyper in kind.hypers}


def movement(
    spec: str, route: str, shape: Shape, kind: str, precision: Format, hypers: Mapping[str, HyperValue]
) -> Tensor:
    """Of a parameter of the format of `precision`. The learning rate is scheduled where `hypers` has none."""
    dtype = FP64 if precision == "fp64" else FP32
    parameter = start(shape, dtype)
    begin = parameter.detach().clone()
    optimizer = loaded(spec, precision=precision)([{"params": [parameter], "route": route, **hypers}])
    for step in range(STEPS):
        optimizer.param_groups[0]["lr"] = hypers.get("lr", scheduled_lr(step))
        parameter.grad = GRADIENTS[kind](shape, step).to(dtype)
        optimizer.step()
    return (parameter.detach() - begin).double()


def expected_movement(
    step_of: Step, shape: Shape, kind: str, hypers: Mapping[str, HyperValue], names: Mapping[str, str]
) -> Tensor:
    """What the reference makes of the same, given those of the hypers that it takes."""
    taken = taken_by(step_of)
    given = {names.get(name, name): value for name, value in hypers.items()}
    given = {name: value for name, value in given.items() if name in taken}
    begin = start(shape).detach().double()
    parameter: Tensor = begin
    state: defaultdict[str, Tensor] = defaultdict(partial(torch.zeros, (), dtype=FP64))
    for step in range(STEPS):
        each = GRADIENTS[kind](shape, step).double()
        counts = (step + 1,) if "step" in taken else ()
        parameter = step_of(parameter, each, state, *counts, **{"lr": scheduled_lr(step), **given})
    return parameter - begin


def taken_by(step_of: Step) -> frozenset[str]:
    return frozenset(inspect.signature(step_of).parameters)
