"""Times of steps, taken in turns, so that whatever slows the machine down slows down everybody."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter

import torch

from benchmarks.parameter_sets import Shape
from benchmarks.subjects import REFERENCE, Step, Subject, parameters, problem_of, with_gradients

TimedStep = Callable[[], float]


@dataclass
class Timed:
    """`first` and `rounds` in seconds; `problem` says why there are none."""

    subject: str
    first: float = 0.0
    rounds: list[float] = field(default_factory=list)
    is_equal: bool | None = None
    problem: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.rounds)


@dataclass(frozen=True)
class Ratio:
    """How many times as fast as the other, by the median over rounds, with quartiles."""

    median: float
    lower: float
    upper: float


def measure(
    subjects: Sequence[Subject],
    shapes: Sequence[Shape],
    *,
    rounds: int,
    seconds: float,
    progress: Callable[[str], None],
) -> list[Timed]:
    """A first step of each, one to warm up, then rounds in which each takes one step: as many as asked for, or fewer,
    but three at least, if they would take longer than the seconds.
    """
    found = {subject.name: Timed(subject.name) for subject in subjects}
    steps: dict[str, TimedStep] = {}
    members = {subject.name: parameters(shapes) for subject in subjects}
    for subject in subjects:
        progress(subject.name)
        try:
            step = _timed(with_gradients(subject.make(members[subject.name]), members[subject.name]))
            found[subject.name].first = step()
        except Exception as error:  # A peer may fail in any way, and the others are measured all the same.
            found[subject.name].problem = problem_of(error)
            continue
        steps[subject.name] = step
    for subject in subjects:
        if subject.same_as:
            pairs = zip(members[subject.name], members[subject.same_as], strict=True)
            found[subject.name].is_equal = all(torch.equal(mine, theirs) for mine, theirs in pairs)
    for step in steps.values():
        step()
    started = perf_counter()
    for number in range(rounds):
        if number >= 3 and perf_counter() - started > seconds:
            break
        progress(f"round {number + 1}")
        names = list(steps)
        for name in names[number % len(names) :] + names[: number % len(names)]:
            found[name].rounds.append(steps[name]())
    return list(found.values())


def ratio(timed: Timed, to: Timed) -> Ratio:
    """Of steps in the same round."""
    each = sorted(theirs / mine for mine, theirs in zip(timed.rounds, to.rounds, strict=True))
    lower, median, upper = statistics.quantiles(each, n=4, method="inclusive")
    return Ratio(median, lower, upper)


def reference_of(found: Sequence[Timed]) -> Timed:
    return next(each for each in found if each.subject == REFERENCE)


def _timed(step: Step) -> TimedStep:
    def timed() -> float:
        started = perf_counter()
        step()
        return perf_counter() - started

    return timed
