"""Steps of generated classes on numbers that shapes decide, for tests that have them interpreted."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

import muondsl
from tests.specs import SPECS


def save_findings(cases: Mapping[str, Callable[[], Any]]) -> None:
    """The end of a module that `interpreted` runs: writes what each case finds."""
    from muondsl.agreement.quicken import quicken_interpreter

    torch.set_num_threads(1)
    quicken_interpreter()
    torch.save({name: case() for name, case in cases.items()}, sys.argv[1])


def loaded(spec: str, **options: Any) -> Any:
    return muondsl.load(SPECS / f"{spec}.muon", **options)


@contextmanager
def forms_of(optimizer: Any, small: int) -> Iterator[None]:
    """Short sides above `small` are iterated as large ones, in Gram space too where the class may at all."""
    from muondsl.runtime.iteration import Iteration

    module: ModuleType = sys.modules[optimizer.__module__]
    before = {name: value for name, value in vars(module).items() if isinstance(value, Iteration)}
    for name, value in before.items():
        gram = value.gram and replace(value.gram, shortest=1)
        setattr(module, name, replace(value, small=min(small, value.small), gram=gram))
    yield
    for name, value in before.items():
        setattr(module, name, value)


def numbers(
    shapes: Sequence[tuple[int, ...]], dtype: torch.dtype = torch.float32, scale: float = 1.0, seed: int = 0
) -> list[Tensor]:
    """Normal numbers that a shape and its place among equal shapes decide."""
    found: list[Tensor] = []
    for place, shape in enumerate(shapes):
        key = f"{seed} {shape} {list(shapes[:place]).count(shape)}"
        generator = torch.Generator().manual_seed(sum(ord(letter) * 31**i for i, letter in enumerate(key)) % 2**31)
        found.append((scale * torch.randn(shape, generator=generator)).to(dtype))
    return found


def grouped(optimizer: Any, parameters: Sequence[Tensor], **options: Any) -> Any:
    """An optimizer of these, those with two dimensions as matrices."""
    groups = {"matrix": [each for each in parameters if each.ndim == 2]}
    groups["otherwise"] = [each for each in parameters if each.ndim != 2]
    given = [{"params": members, "route": route} for route, members in groups.items() if members]
    return optimizer(given, **options)


def stepped(
    optimizer: Any,
    shapes: Sequence[tuple[int, ...]],
    *,
    chosen: Sequence[int] | None = None,
    backend: str = "triton",
    steps: int = 1,
    dtype: torch.dtype = torch.float32,
    small: int = 32,
    **options: Any,
) -> list[dict[str, Tensor]]:
    """Each parameter and its states after some steps, of those that are chosen in their order."""
    order = range(len(shapes)) if chosen is None else chosen
    starts = numbers(shapes, dtype, 0.05)
    parameters = [torch.nn.Parameter(starts[index]) for index in order]
    with forms_of(optimizer, small):
        made = grouped(optimizer, parameters, backend=backend, **options)
        for step in range(steps):
            gradients = numbers(shapes, dtype, seed=step + 1)
            for parameter, index in zip(parameters, order, strict=True):
                parameter.grad = gradients[index]
            made.step()
    return [{"parameter": each.detach(), **made.state[each]} for each in parameters]
