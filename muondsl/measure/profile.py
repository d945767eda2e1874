"""A spec and shapes in, the operations of a measured step out. Steps run on one thread, on which all operations are
seen, and as which each matrix is stepped where torch has several.
"""

from __future__ import annotations

import os
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import Parameter

from muondsl.cost.devices import Format
from muondsl.cost.errors import CostError
from muondsl.cost.estimate import divide_by_rules
from muondsl.cost.shapes import Shape
from muondsl.interface import load_file, pipeline
from muondsl.measure.peaks import Peaks, measure_peaks, threads_of_torch
from muondsl.measure.record_calls import Call, Lines, Recorder, lines_of
from muondsl.pipeline import Options

if TYPE_CHECKING:
    from muondsl.runtime import SpecOptimizer

DTYPES: dict[Format, torch.dtype] = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}

FEW_ELEMENTS = 2**22
"""Up to so many elements together, all parameters of a shape are stepped, in the stacks that a step makes of them."""

SCALE = 0.02
"""Of random parameters."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Parameters of one route and shape, in which the same matrices are seen."""

    route: str
    names: tuple[str, ...]
    sizes: tuple[int, ...]

    @property
    def elements(self) -> int:
        return len(self.names) * torch.Size(self.sizes).numel()

    @property
    def taken(self) -> int:
        """How many of them are stepped."""
        return len(self.names) if self.elements <= FEW_ELEMENTS else 1

    @property
    def factor(self) -> int:
        """By what the measured times are multiplied."""
        return len(self.names) // self.taken


@dataclass(frozen=True, slots=True)
class MeasuredStep:
    """One step under the profile. `seconds` are without the `own_seconds` of the profile."""

    calls: tuple[Call, ...]
    seconds: float
    own_seconds: float


@dataclass(frozen=True, slots=True)
class MeasuredKind:
    """The median step of the parameters of a kind that are taken, and the median time of a step without the profile."""

    kind: Kind
    step: MeasuredStep
    plain_seconds: float


@dataclass(frozen=True, slots=True)
class Profile:
    """A step of all parameters but those `left_out`, for which a spec without routes has no rule."""

    spec: str
    options: Options
    parameters: Format
    steps: int
    peaks: Peaks
    kinds: tuple[MeasuredKind, ...]
    left_out: tuple[Shape, ...] = ()


def profile_steps(
    spec: str | Path,
    shapes: Sequence[Shape],
    *,
    parameters: Format = "fp32",
    steps: int = 5,
    options: Options | None = None,
) -> Profile:
    """Measures steps of parameters of these shapes and this format. Raises SpecError for a spec with errors, CostError
    for one that cannot route the parameters, and for parameters that this machine cannot hold.
    """
    options = options or Options()
    stages = pipeline(spec, options)
    checked, file = stages.checked(), stages.file()
    optimizer = load_file(file, checked)
    kinds, left_out = divide_into_kinds(optimizer, shapes)
    for kind in kinds:
        check_memory(optimizer, kind, DTYPES[parameters])
    lines = lines_of(file.text, file.provenance, vars(sys.modules[optimizer.__module__]))
    with threads_of_torch(1):
        measured = tuple(measure_kind(optimizer, kind, lines, DTYPES[parameters], steps) for kind in kinds)
    found = {call.work.dtype for each in measured for call in each.step.calls if call.work.dtype}
    peaks = measure_peaks(1, tuple(sorted(found, key=str)))
    return Profile(checked.name, options, parameters, steps, peaks, measured, left_out)


def divide_into_kinds(
    optimizer: type[SpecOptimizer], shapes: Sequence[Shape]
) -> tuple[tuple[Kind, ...], tuple[Shape, ...]]:
    """The parameters by route and shape, and those left out."""
    divided, left_out = divide_by_rules(optimizer, shapes, optimizer.states)
    seen: dict[str, list[tuple[str, tuple[int, ...]]]] = {}
    for route, parts in divided.items():
        for part in parts:
            seen.setdefault(part.name, []).append((route, part.sizes))
    found: dict[Any, list[Shape]] = {}
    for shape in shapes:
        if shape.name in seen:
            found.setdefault((shape.sizes, *seen[shape.name]), []).append(shape)
    if not found:
        raise CostError(f"{optimizer.__name__} takes none of these parameters")
    kinds = [Kind(key[1][0], tuple(each.name for each in same), same[0].sizes) for key, same in found.items()]
    return tuple(sorted(kinds, key=lambda kind: kind.route)), left_out


def check_memory(optimizer: type[SpecOptimizer], kind: Kind, dtype: torch.dtype) -> None:
    """Raises CostError where parameters, gradients, states and as much again are more than this machine's memory."""
    if not hasattr(os, "sysconf"):
        return
    whole = [state for state in optimizer.states[kind.route] if state.is_full]
    size = (2 + len(whole)) * dtype.itemsize * kind.taken * torch.Size(kind.sizes).numel()
    held = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if 2 * size > held:
        raise CostError(
            f"{kind.names[0]} takes {size / 2**30:.3g} GiB with its gradient and states, too much to be stepped in the "
            f"{held / 2**30:.3g} GiB of this machine"
        )


def measure_kind(
    optimizer: type[SpecOptimizer], kind: Kind, lines: Lines, dtype: torch.dtype, steps: int
) -> MeasuredKind:
    """Steps parameters of one kind by an optimizer of their own: once to make states, then in turns with and without
    the profile.
    """
    stepped: Any = optimizer
    made = stepped([{"params": list(random_parameters(kind, dtype)), "route": kind.route}])
    recorded_step(made, lines)
    profiled: list[MeasuredStep] = []
    plain: list[float] = []
    for _ in range(steps):
        begin = perf_counter()
        made.step()
        plain.append(perf_counter() - begin)
        profiled.append(recorded_step(made, lines))
    profiled.sort(key=lambda step: step.seconds)
    return MeasuredKind(kind, profiled[(steps - 1) // 2], statistics.median_low(plain))


def random_parameters(kind: Kind, dtype: torch.dtype) -> Iterator[tuple[str, Parameter]]:
    """With gradients; the same each time."""
    generator = torch.Generator().manual_seed(0)
    for name in kind.names[: kind.taken]:
        parameter = Parameter(torch.randn(kind.sizes, generator=generator).mul_(SCALE).to(dtype))
        parameter.grad = torch.randn(kind.sizes, generator=generator).to(dtype)
        yield name, parameter


def recorded_step(optimizer: SpecOptimizer, lines: Lines) -> MeasuredStep:
    with Recorder(lines) as recorder:
        begin = perf_counter()
        optimizer.step()
        seconds = perf_counter() - begin
    return MeasuredStep(tuple(recorder.calls), seconds - recorder.own_seconds, recorder.own_seconds)
