"""What the tests of the runtime are run on: every generated class, with parameters on every route that it has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import Parameter

from muondsl.runtime import SpecOptimizer
from tests.specs import CORE, SPECS, WITH_MATRICES

ROOT = SPECS.parent

Optimizer = type[SpecOptimizer]


def generated_class(spec: str) -> Optimizer:
    module = import_module(f"generated.{spec}")
    (name,) = module.__all__
    found: Optimizer = getattr(module, name)
    return found


CLASSES = [generated_class(spec) for spec in WITH_MATRICES]
CORE_CLASSES = [generated_class(spec) for spec in CORE]


def first_route(kind: Optimizer) -> str:
    """`matrix` for all but those which know no matrices."""
    return next(iter(kind.states))


def each_of(kinds: Iterable[Optimizer], *, is_costly: bool = False) -> pytest.MarkDecorator:
    """Parametrizes a test; one that is costly runs on classes out of the core by `make test-slow`."""
    marks = {kind: pytest.mark.slow if is_costly and kind not in CORE_CLASSES else () for kind in kinds}
    return pytest.mark.parametrize(
        "kind", [pytest.param(kind, marks=mark, id=kind.__name__) for kind, mark in marks.items()]
    )


every_class = each_of(CLASSES)
every_class_costly = each_of(CLASSES, is_costly=True)
every_class_with_kernels = each_of(kind for kind in CLASSES if kind.launches)
every_class_with_states = each_of(kind for kind in CLASSES if kind.states.get("matrix"))
every_class_with_matrices = each_of(kind for kind in CLASSES if "matrix" in kind.states)

# These bring a parameter to where it has to be, however short the step is.
RETRACTING = ("Spel",)
every_class_that_rests = each_of(kind for kind in CLASSES if kind.__name__ not in RETRACTING)

MATRICES = ((6, 4), (4, 6), (5, 5))
OTHERS = ((4,), (3, 2, 2), ())


def random(shape: tuple[int, ...], seed: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def new_parameters(kind: Optimizer, dtype: torch.dtype = torch.float32) -> dict[str, list[Parameter]]:
    """The same parameters at every call, for each route of the class."""
    shapes = {"matrix": MATRICES, "otherwise": OTHERS}
    return {
        route: [Parameter(0.1 * random(shape, 10 + index, dtype)) for index, shape in enumerate(shapes[route])]
        for route in kind.states
    }


def new_groups(parameters: Mapping[str, Iterable[Parameter]], **hypers: Any) -> list[dict[str, Any]]:
    return [{"params": list(members), "route": route, **hypers} for route, members in parameters.items()]


def flat(parameters: Mapping[str, Iterable[Parameter]]) -> list[Parameter]:
    return [parameter for members in parameters.values() for parameter in members]


def set_gradients(parameters: Iterable[Parameter], step: int) -> None:
    for index, parameter in enumerate(parameters):
        parameter.grad = random(tuple(parameter.shape), 100 * (step + 1) + index, parameter.dtype)


def advance(optimizer: torch.optim.Optimizer, steps: Iterable[int]) -> None:
    """Steps with the gradients that belong to these steps."""
    for step in steps:
        set_gradients([each for group in optimizer.param_groups for each in group["params"]], step)
        optimizer.step()


def snapshot(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """Copies of all parameters and states, in order."""
    found = []
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            state = optimizer.state.get(parameter, {})
            found += [parameter.detach().clone(), *(state[name].clone() for name in sorted(state))]
    return found


def assert_same(found: list[Tensor], expected: list[Tensor]) -> None:
    """The same bits in the same formats."""
    assert [(each.dtype, each.shape) for each in found] == [(each.dtype, each.shape) for each in expected]
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


def moved(found: list[Tensor], expected: list[Tensor]) -> list[bool]:
    return [not torch.equal(one, other) for one, other in zip(found, expected, strict=True)]
