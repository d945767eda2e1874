"""The operations of a profile by the statement that calls them, beside the peaks: what the report and its JSON say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from muondsl.measure.peaks import Peaks
from muondsl.measure.profile import MeasuredKind, Profile
from muondsl.measure.record_calls import AROUND, BETWEEN, Call, Place
from muondsl.measure.work import Work

Bound = Literal["products", "memory", "calls"]


@dataclass(frozen=True, slots=True)
class Row:
    """What one statement calls in a step of all parameters. `peak_seconds` are, by what bounds an operation, those that
    it would take at that peak; None where an operation has none.
    """

    place: Place
    operators: Mapping[str, int]
    seconds: float
    flops: int
    bytes: int
    peak_seconds: Mapping[Bound, float] | None

    @property
    def calls(self) -> int:
        return sum(self.operators.values())

    @property
    def bound(self) -> Bound | None:
        """What bounds most of the time at the peaks."""
        times = self.peak_seconds or {}
        bounds: list[Bound] = sorted(times, key=times.__getitem__)
        return bounds[-1] if bounds else None

    @property
    def of_peak(self) -> float | None:
        """The time at the peaks by the time that was taken."""
        return None if self.peak_seconds is None else sum(self.peak_seconds.values()) / self.seconds


@dataclass(frozen=True, slots=True)
class Sums:
    """A step of all parameters: of operations, of what is between them, and the same step without the profile.
    `own_seconds` are those of the profile itself, which are in none of the others.
    """

    calls: int
    operations: float
    outside: float
    plain: float
    own_seconds: float

    @property
    def seconds(self) -> float:
        return self.operations + self.outside


def kinds_of(profile: Profile) -> dict[str, list[MeasuredKind]]:
    """What is measured on each route."""
    found: dict[str, list[MeasuredKind]] = {}
    for each in profile.kinds:
        found.setdefault(each.kind.route, []).append(each)
    return found


def rows_of(kinds: Sequence[MeasuredKind], peaks: Peaks) -> list[Row]:
    """In the order of the generated module, what no statement of it calls at the end."""
    calls: dict[Place, list[tuple[int, Call]]] = {}
    for each in kinds:
        for call in each.step.calls:
            calls.setdefault(call.place, []).append((each.kind.factor, call))
    places = sorted(calls, key=lambda place: (place == AROUND, place.line, place.part == BETWEEN))
    return [_row(place, calls[place], peaks) for place in places]


def _row(place: Place, calls: Sequence[tuple[int, Call]], peaks: Peaks) -> Row:
    """Of calls with the numbers of parameters that each of them stands for."""
    operators: Counter[str] = Counter()
    times: dict[Bound, float] = {}
    for factor, call in calls:
        operators[call.operator] += factor
        bound, seconds = slowest(call.work, peaks)
        times[bound] = times.get(bound, 0.0) + factor * seconds
    return Row(
        place,
        operators,
        seconds=sum(factor * call.seconds for factor, call in calls),
        flops=sum(factor * call.work.flops for factor, call in calls),
        bytes=sum(factor * call.work.bytes for factor, call in calls),
        peak_seconds=times if all(call.work.has_peak for _, call in calls) else None,
    )


def slowest(work: Work, peaks: Peaks) -> tuple[Bound, float]:
    """What takes an operation the longest if all is at its peak, and how long."""
    seconds: dict[Bound, float] = {"memory": work.bytes / peaks.bandwidth, "calls": peaks.call}
    if work.dtype is not None:
        seconds["products"] = work.flops / peaks.products[work.dtype]
    bound: Bound = max(seconds, key=seconds.__getitem__)
    return bound, seconds[bound]


def sums_of(kinds: Sequence[MeasuredKind]) -> Sums:
    operations = sum(each.kind.factor * sum(call.seconds for call in each.step.calls) for each in kinds)
    return Sums(
        calls=sum(each.kind.factor * len(each.step.calls) for each in kinds),
        operations=operations,
        outside=sum(each.kind.factor * each.step.seconds for each in kinds) - operations,
        plain=sum(each.kind.factor * each.plain_seconds for each in kinds),
        own_seconds=sum(each.kind.factor * each.step.own_seconds for each in kinds),
    )
