"""Agreement of every path that a spec can be run on with the float64 oracle: what `muondsl verify` measures."""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from muondsl.interface import load, pipeline
from muondsl.ir.interpreter import Noise, initial_state, interpret
from muondsl.lower import fingerprint
from muondsl.pipeline import Options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from muondsl.check import CheckedSpec
    from muondsl.ir.program import Program
    from muondsl.ir.types import Format
    from muondsl.optimize import Numerics
    from muondsl.runtime import SpecOptimizer

MATRICES = ((64, 64), (96, 32), (32, 96), (17, 33), (1, 48), (48, 1))
"""Square, tall, wide, odd, one row, one column."""

OTHERS = ((48,), (8, 3, 3, 3), (17, 33), ())
STEPS = 10
LR = 0.02

HyperValues = dict[str, float | tuple[float, ...]]


@dataclass(frozen=True)
class Way:
    """How a spec is run: numerics, number format of `in` blocks, format of the parameters."""

    numerics: Numerics
    precision: Format | None
    dtype: torch.dtype

    @property
    def name(self) -> str:
        return f"torch {self.numerics} {self.precision or 'as written'}"


@dataclass(frozen=True)
class Row:
    """One comparison. `error` is relative, of the movement of the parameter over all steps, or of the worst state;
    for parameters of 16 bits, of what one step makes of a common start.
    """

    route: str
    path: str
    dtype: str
    shape: tuple[int, ...]
    error: float
    bound: float

    @property
    def is_good(self) -> bool:
        return self.error <= self.bound


@dataclass(frozen=True)
class Agreement:
    """All comparisons of a spec."""

    optimizer: str
    fingerprint: str
    rows: tuple[Row, ...]

    @property
    def is_good(self) -> bool:
        return all(row.is_good for row in self.rows)

    def __str__(self) -> str:
        head = f"{'route':<10}{'path':<27}{'parameters':<12}{'shape':<15}{'error':>10}{'bound':>10}"
        lines = [f"{self.optimizer} {self.fingerprint}", "", head, "-" * len(head)]
        for row in self.rows:
            shape = "×".join(str(size) for size in row.shape) or "scalar"
            mark = "" if row.is_good else "  TOO LARGE"
            values = f"{row.error:>10.1e}{row.bound:>10.1e}{mark}"
            lines.append(f"{row.route:<10}{row.path:<27}{row.dtype:<12}{shape:<15}{values}")
        bad = sum(not row.is_good for row in self.rows)
        lines += ["", f"{len(self.rows) - bad} of {len(self.rows)} comparisons agree"]
        return "\n".join(lines)


WAYS: tuple[tuple[Way, float], ...] = (
    (Way("faithful", "fp64", torch.float64), 1e-10),
    (Way("fast", "fp64", torch.float64), 1e-10),
    (Way("faithful", "fp32", torch.float32), 1e-5),
    (Way("fast", "fp32", torch.float32), 1e-5),
    (Way("faithful", None, torch.float32), 1e-2),
    (Way("fast", None, torch.float32), 1e-2),
    (Way("fast", "fp32", torch.bfloat16), 2 * torch.finfo(torch.bfloat16).eps),
    (Way("fast", "fp32", torch.float16), 2 * torch.finfo(torch.float16).eps),
)
"""Every way with the error that it may always have."""

MARGIN, DRAWS = 4, 4
"""Where the algorithm itself magnifies rounding more than that, a path may have `MARGIN` times the error of the oracle
with rounding noise, the worst of `DRAWS`."""


@contextmanager
def _one_thread() -> Iterator[None]:
    """Matrices of this size are not worth a second thread, which waits actively where cores are busy."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@_one_thread()
def verify(spec: str | Path) -> Agreement:
    """Compares every path of a spec with the oracle, over shapes, formats and both routes.

    A path may have the error of its way in `WAYS`; where the algorithm itself magnifies rounding more than that,
    `MARGIN` times the error that rounding noise makes in the oracle. The fast path, as written, may have the error of
    the faithful one by a quarter and 0.005 exceeded, and no more.

    Raises SpecError where the spec has errors.
    """
    stages = pipeline(spec, Options())
    checked = stages.checked()
    classes = {way: load(spec, numerics=way.numerics, precision=way.precision) for way, _ in WAYS}
    programs = {way.precision: pipeline(spec, Options(precision=way.precision)).program().programs() for way, _ in WAYS}
    rows: list[Row] = []
    for place, route in enumerate(program.route for program in stages.program().programs()):
        for shape in MATRICES if route == "matrix" else OTHERS:
            faithful = 0.0
            for way, usual in WAYS:
                run = _Run(checked, programs[way.precision][place], shape, way, classes[way])
                error = run.error()
                bound = usual if error <= usual else max(usual, MARGIN * run.explained_error())
                if way.precision is None:
                    bound = 1.25 * faithful + 0.005 if way.numerics == "fast" else bound
                    faithful = error
                shown = math.inf if math.isnan(error) else error
                rows.append(Row(route, way.name, str(way.dtype).removeprefix("torch."), shape, shown, bound))
    return Agreement(checked.name, fingerprint(checked), tuple(rows))


def hyper_values(checked: CheckedSpec) -> HyperValues:
    """Values under which every term acts: a fixed learning rate, and 0.1 where a default of zero would hide one."""
    values: HyperValues = {}
    for hyper in checked.hypers:
        if isinstance(hyper.default, tuple):
            values[hyper.name] = tuple(float(each) for each in hyper.default)
        else:
            default = float(hyper.default)
            values[hyper.name] = 0.1 if default == 0 and 0.1 in hyper.interval else default
    values["lr"] = LR
    return values


def _data(shape: tuple[int, ...], dtype: torch.dtype) -> tuple[Tensor, list[Tensor]]:
    """A start and the gradients of all steps, the same numbers in every format that can hold them."""
    generator = torch.Generator().manual_seed(sum(shape) + 1)
    tensors = [torch.randn(shape, generator=generator, dtype=torch.float32) for _ in range(STEPS + 1)]
    return (0.05 * tensors[0]).to(dtype), [tensor.to(dtype) for tensor in tensors[1:]]


Values = dict[str, Tensor]


class _Run:
    """A generated optimizer and the oracle on the same parameter, over `STEPS` steps.

    With parameters of 16 bits, which hold no small movements, every step begins anew from what the optimizer holds, and
    errors are those of the parameter and its states. Otherwise both go their ways, and errors are those of the movement
    of the parameter, and of the states, at the end.
    """

    def __init__(
        self, checked: CheckedSpec, program: Program, shape: tuple[int, ...], way: Way, optimizer: type[SpecOptimizer]
    ) -> None:
        self.program, self.dtype = program, way.dtype
        self.is_stepwise = way.dtype.itemsize == 2
        self.values = hyper_values(checked)
        start, self.gradients = _data(shape, way.dtype)
        self.parameter = start.clone().requires_grad_()
        group = {"params": [self.parameter], "route": program.route, **self.values}
        make: Callable[[list[dict[str, Any]]], SpecOptimizer] = optimizer
        self.optimizer = make([group])
        self.before: Values = {"parameter": start.double(), **initial_state(program, start, self.gradients[0])}
        self.held = [self.before]
        for index, gradient in enumerate(self.gradients):
            self.optimizer.param_groups[0]["lr"] = _lr(index)
            self.parameter.grad = gradient
            self.optimizer.step()
            self.held.append(self._hold())
        self.exact = self._followed(None)

    def error(self) -> float:
        return self._distance(self.held)

    def explained_error(self) -> float:
        """What rounding noise alone does: the worst of several draws."""
        return max(self._distance(self._followed(Noise(self.dtype, seed))) for seed in range(DRAWS))

    def _hold(self) -> Values:
        state = self.optimizer.state[self.parameter]
        held = {each.name: state[each.name].double().clone() for each in self.program.states}
        return {**held, "parameter": self.parameter.detach().double().clone()}

    def _followed(self, noise: Noise | None) -> list[Values]:
        """What the oracle makes of each step, from its own results or, stepwise, from what the optimizer held."""
        found = [self.before]
        for index, gradient in enumerate(self.gradients):
            before = (self.held if self.is_stepwise else found)[index]
            values = {**self.values, "lr": _lr(index)}
            found.append(interpret(self.program, before["parameter"], gradient, before, values, index + 1, noise))
        return found

    def _distance(self, found: list[Values]) -> float:
        if self.is_stepwise:
            pairs = zip(found[1:], self.exact[1:], strict=True)
            return max(_relative(each[name], exact[name]) for each, exact in pairs for name in exact)
        last, exact, start = found[-1], self.exact[-1], self.before["parameter"]
        errors = [_relative(last[state.name], exact[state.name]) for state in self.program.states]
        return max(_relative(last["parameter"] - start, exact["parameter"] - start), *errors, 0.0)


def _lr(index: int) -> float:
    return LR * (1 + math.cos(index)) / 2


def _relative(found: Tensor, expected: Tensor) -> float:
    norm = float(torch.linalg.vector_norm(expected))
    distance = float(torch.linalg.vector_norm(found - expected))
    return distance / norm if norm else distance
