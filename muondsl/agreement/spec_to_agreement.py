"""Every path of a spec beside the oracle: `spec → Agreement`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch

from muondsl.agreement.interpreted import Request, has_triton, run_interpreted
from muondsl.agreement.report import Agreement, Row
from muondsl.agreement.run_steps import run_steps
from muondsl.agreement.trial import Trial, Truncation, Values, hyper_values
from muondsl.agreement.ways import DRAWS, INTERPRETED, MARGIN, WAYS, Way
from muondsl.interface import load, pipeline
from muondsl.ir.interpreter import Noise
from muondsl.lower import fingerprint
from muondsl.pipeline import Options, Pipeline

if TYPE_CHECKING:
    from pathlib import Path

    from muondsl.check import CheckedSpec
    from muondsl.ir.program import Program
    from muondsl.ir.types import Format
    from muondsl.runtime import SpecOptimizer

MATRICES = ((64, 64), (96, 32), (32, 96), (17, 33), (1, 48), (48, 1))
"""Square, tall, wide, odd, one row, one column."""

TILED = ((129, 65), (66, 136))
"""Of more than one tile, for kernels alone: the one is iterated in direct form, the other may be in Gram space."""

OTHERS = ((48,), (8, 3, 3, 3), (17, 33), ())
STEPS, INTERPRETED_STEPS = 10, 2


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
def verify(spec: str | Path, *, interpreter: bool = True) -> Agreement:
    """Compares every path of a spec with the oracle, over shapes, formats and both routes.

    A path may have the error of its way; where the algorithm itself magnifies rounding more than that, `MARGIN` times
    the error that rounding noise makes in the oracle. The fast path of torch, as written, may have the error of the
    faithful one by a quarter and 0.005 exceeded, and no more. Kernels are compared with the path of torch too, and may
    differ from it by what both may from the oracle. Without `interpreter` they are left out.

    Raises SpecError where the spec has errors.
    """
    stages = pipeline(spec, Options())
    ways = WAYS + INTERPRETED if interpreter else WAYS
    classes = {way: load(spec, numerics=way.numerics, precision=way.precision) for way in ways}
    subject = _Subject(stages, classes)
    rows = [row for route in subject.routes for row in _torch_rows(subject, route)]
    remarks = []
    if interpreter and not has_triton():
        remarks.append("Triton's kernels are not compared: Triton is not installed (pip install triton)")
    elif interpreter:
        runnable = [way for way in INTERPRETED if len(classes[way].launches) == len(subject.routes)]
        if len(runnable) < len(INTERPRETED):
            names = ", ".join(way.name for way in INTERPRETED if way not in runnable)
            remarks.append(f"no kernels are compared for what has none on every route: {names}")
        rows += _triton_rows(subject, runnable)
    return Agreement(subject.checked.name, fingerprint(subject.checked), tuple(rows), tuple(remarks))


@dataclass
class _Subject:
    """A spec with its classes, and its programs in each precision."""

    stages: Pipeline
    classes: Mapping[Way, type[SpecOptimizer]]

    @cached_property
    def checked(self) -> CheckedSpec:
        return self.stages.checked()

    @cached_property
    def _programs(self) -> dict[Format | None, tuple[Program, ...]]:
        source, directory = self.stages.source, self.stages.directory
        return {
            precision: Pipeline(source, directory, Options(precision=precision)).program().programs()
            for precision in dict.fromkeys(way.precision for way in self.classes)
        }

    @cached_property
    def _stored(self) -> tuple[Program, ...]:
        """The programs as written, a definition for each intermediate that is stored."""
        source, directory = self.stages.source, self.stages.directory
        return Pipeline(source, directory, Options("faithful")).optimized().programs()

    @cached_property
    def routes(self) -> tuple[str, ...]:
        return tuple(program.route for program in self._programs[None])

    def trial(self, route: str, shape: tuple[int, ...], way: Way, steps: int) -> Trial:
        program = self._programs[way.precision][self.routes.index(route)]
        return Trial(program, shape, way.dtype, hyper_values(self.checked), steps)

    def bound(self, trial: Trial, held: list[Values], error: float, way: Way) -> float:
        """The way's own where that is enough, else what rounding noise explains."""
        if error <= way.bound:
            return way.bound
        exact = trial.followed(held)
        is_cut_off = way.backend == "triton" and way.precision is None
        program = self._stored[self.routes.index(trial.program.route)] if is_cut_off else None
        worst = 0.0
        for seed in range(DRAWS):
            noise = (Truncation if is_cut_off else Noise)(trial.dtype, seed)
            worst = max(worst, trial.distance(trial.followed(held, noise, program), exact))
            # Neither what is explained nor what is out of all proportion needs another draw.
            if not MARGIN * worst < error <= 100 * MARGIN * worst:
                break
        return max(way.bound, MARGIN * worst)


def _torch_rows(subject: _Subject, route: str) -> Iterator[Row]:
    for shape in MATRICES if route == "matrix" else OTHERS:
        faithful = 0.0
        for way in WAYS:
            trial = subject.trial(route, shape, way, STEPS)
            held = _torch_path(subject, trial, way)
            error = trial.distance(held, trial.followed(held))
            bound = subject.bound(trial, held, error, way)
            if way.precision is None:
                bound = 1.25 * faithful + 0.005 if way.numerics == "fast" else bound
                faithful = error
            yield _row(trial, way, error, bound)


def _triton_rows(subject: _Subject, ways: Sequence[Way]) -> Iterator[Row]:
    """All shapes of both routes are stepped by one optimizer a way, and all ways in one process."""
    shapes = [
        (route, shape) for route in subject.routes for shape in (MATRICES + TILED if route == "matrix" else OTHERS)
    ]
    trials = {way: [subject.trial(*each, way, INTERPRETED_STEPS) for each in shapes] for way in ways}
    requests = [
        Request.of(
            subject.classes[way],
            [(trial.program.route, trial.start) for trial in trials[way]],
            [trial.gradients for trial in trials[way]],
            hyper_values(subject.checked),
        )
        for way in ways
    ]
    for way, results in zip(ways, run_interpreted(requests) if requests else [], strict=True):
        for trial, after in zip(trials[way], results, strict=True):
            yield from _interpreted_rows(subject, trial, way, [trial.before, *after])


def _interpreted_rows(subject: _Subject, trial: Trial, way: Way, held: list[Values]) -> Iterator[Row]:
    error = trial.distance(held, trial.followed(held))
    bound = subject.bound(trial, held, error, way)
    yield _row(trial, way, error, bound)
    if not trial.is_stepwise:
        path = Way(way.numerics, way.precision, way.dtype)
        expected = _torch_path(subject, trial, path)
        away = trial.distance(expected, trial.followed(expected))
        both = bound + subject.bound(trial, expected, away, path)
        yield _row(trial, way, trial.distance(held, expected), both, against="torch")


def _torch_path(subject: _Subject, trial: Trial, way: Way) -> list[Values]:
    starts = [(trial.program.route, trial.start)]
    (after,) = run_steps(subject.classes[way], starts, [trial.gradients], trial.hypers)
    return [trial.before, *after]


def _row(trial: Trial, way: Way, error: float, bound: float, against: str = "oracle") -> Row:
    shown = math.inf if math.isnan(error) else error
    dtype = str(way.dtype).removeprefix("torch.")
    return Row(trial.program.route, way.name, dtype, trial.shape, shown, bound, against)
