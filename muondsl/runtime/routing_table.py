"""Where each parameter of an optimizer goes and what happens to it there, as data that prints as a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from muondsl.runtime.optimizer import SpecOptimizer

ScaleFunction = Callable[[int, int, Mapping[str, Any], int], float]
"""The scale factor of a matrix: of its rows and columns, the hypers of its group, and the step."""


@dataclass(frozen=True)
class RoutedParameter:
    """One parameter. `matrices`: rows and columns of each logical matrix, none on the route `otherwise`. `scales`: the
    factor of each of them, or the one of a parameter of the other route, at the next step; what is stepped by is `lr`
    times that. `state_bytes`: of all its states, the count of steps apart.
    """

    name: str | None
    shape: tuple[int, ...]
    route: str
    view: str
    matrices: tuple[tuple[int, int], ...]
    scales: tuple[float, ...]
    lr: float
    state_bytes: int

    @property
    def effective_lrs(self) -> tuple[float, ...]:
        return tuple(self.lr * scale for scale in self.scales)


class Routing(tuple[RoutedParameter, ...]):
    """All parameters of an optimizer in the order of its groups."""

    __slots__ = ()

    def __str__(self) -> str:
        titles = ("name", "shape", "route", "logical matrices", "scale", "effective lr", "state")
        rows = [titles, *map(_cells, self)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)) for row in rows]
        return "\n".join(line.rstrip() for line in lines)


def routing_table(optimizer: SpecOptimizer) -> Routing:
    return Routing(_routed_rows(optimizer))


def _routed_rows(optimizer: SpecOptimizer) -> Iterator[RoutedParameter]:
    for group in optimizer.param_groups:
        route = group["route"]
        names = group.get("param_names", [None] * len(group["params"]))
        hypers = {hyper.name: hyper.number(group[hyper.name]) for hyper in optimizer.hypers}
        lr = hypers["lr"]
        assert isinstance(lr, float)
        for name, parameter in zip(names, group["params"], strict=True):
            matrices = optimizer.matrices_of(route, parameter)
            step = int(optimizer.state.get(parameter, {}).get("step", 0)) + 1
            states = optimizer.states_of(route, parameter)
            sizes = [each.sizes(parameter.shape, matrices) for each in states]
            formats = [each.dtype or parameter.dtype for each in states]
            yield RoutedParameter(
                name,
                tuple(parameter.shape),
                route,
                str(optimizer.view_of(parameter)),
                matrices,
                _scales_of(optimizer, route, matrices, parameter, hypers, step),
                lr,
                sum(torch.Size(size).numel() * dtype.itemsize for size, dtype in zip(sizes, formats, strict=True)),
            )


def _scales_of(
    optimizer: SpecOptimizer,
    route: str,
    matrices: Sequence[tuple[int, int]],
    parameter: Tensor,
    hypers: Mapping[str, Any],
    step: int,
) -> tuple[float, ...]:
    sizes = matrices or ((1, parameter.numel()),)
    if route not in optimizer.scales or not parameter.numel():
        return (1.0,) * len(sizes)
    return tuple(float(optimizer.scales[route](*size, hypers, step)) for size in sizes)


def _cells(row: RoutedParameter) -> tuple[str, ...]:
    seen = "  ".join(_counted(f"{rows} × {cols}" for rows, cols in row.matrices))
    return (
        row.name or "unnamed",
        " × ".join(map(str, row.shape)) or "one number",
        row.route,
        f"{seen} ({row.view})" if row.view else seen or "–",
        ", ".join(_distinct(row.scales)),
        ", ".join(_distinct(row.effective_lrs)),
        f"{row.state_bytes} B",
    )


def _counted(texts: Iterator[str]) -> Iterator[str]:
    for text, count in Counter(texts).items():
        yield text if count == 1 else f"{count} of {text}"


def _distinct(numbers: Sequence[float]) -> Iterator[str]:
    return iter(dict.fromkeys(f"{number:.4g}" for number in numbers))
