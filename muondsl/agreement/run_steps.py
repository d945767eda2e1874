"""Steps of a generated optimizer, with everything that it holds after each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from muondsl.agreement.trial import lr_of

if TYPE_CHECKING:
    from muondsl.agreement.trial import HyperValues, Values
    from muondsl.runtime import SpecOptimizer


def run_steps(
    optimizer: type[SpecOptimizer],
    starts: Sequence[tuple[str, Tensor]],
    gradients: Sequence[Sequence[Tensor]],
    hypers: HyperValues,
    **options: object,
) -> list[list[Values]]:
    """For each parameter, given with its route, what it and its states are at first (alone) and after each step.

    All parameters are in one optimizer. `gradients` has a sequence for each parameter, of one for each step. `options`
    are given to the constructor.
    """
    parameters = [start.clone().requires_grad_() for _, start in starts]
    groups: list[dict[str, Any]] = [
        {"params": [each for each, (own, _) in zip(parameters, starts, strict=True) if own == route], **hypers}
        | {"route": route}
        for route in dict.fromkeys(route for route, _ in starts)
    ]
    make: Callable[..., SpecOptimizer] = optimizer
    made = make(groups, **options)
    found: list[list[Values]] = [[] for _ in parameters]
    for index in range(len(gradients[0])):
        for group in made.param_groups:
            group["lr"] = lr_of(index)
        for parameter, given in zip(parameters, gradients, strict=True):
            parameter.grad = given[index]
        made.step()
        for values, parameter, (route, _) in zip(found, parameters, starts, strict=True):
            values.append(_held(made, route, parameter))
    return found


def _held(optimizer: SpecOptimizer, route: str, parameter: Tensor) -> Values:
    states = optimizer.state[parameter]
    names = [each.name for each in optimizer.states[route]]
    held = {"parameter": parameter.detach(), **{name: states[name] for name in names}}
    return {name: value.to(torch.float64, copy=True) for name, value in held.items()}
