"""What one spec does in one respect. Two specs differ where their facts of one name do."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from muondsl.compare.finding import Finding, Number

if TYPE_CHECKING:
    from collections.abc import Iterable

TOLERANCE = 1e-7
"""Two ways of computing one quantity in float64, through an iteration that magnifies rounding some thousand times."""


@dataclass(frozen=True, slots=True)
class Fact:
    """`aspect` is what it is about, and unique in a stage; `words` say what there is, perhaps on several lines;
    `numbers` have labels.
    """

    aspect: str
    words: str = ""
    numbers: tuple[tuple[str, float], ...] = ()


def differences(stage: str, a: Iterable[Fact], b: Iterable[Fact]) -> list[Finding]:
    """The facts that differ."""
    first, second = ({fact.aspect: fact for fact in facts} for facts in (a, b))
    found = []
    for aspect in merged(first, second):
        one, other = first.get(aspect), second.get(aspect)
        if not _is_same(one, other):
            words = _unlike_lines(one.words if one else None, other.words if other else None)
            found.append(Finding(stage, aspect, *words, _numbers(one, other)))
    return found


def _is_same(a: Fact | None, b: Fact | None) -> bool:
    if a is None or b is None or a.words != b.words or [label for label, _ in a.numbers] != [n for n, _ in b.numbers]:
        return False
    return all(is_near(x, y) for (_, x), (_, y) in zip(a.numbers, b.numbers, strict=True))


def is_near(x: float, y: float) -> bool:
    both = math.isnan(x) and math.isnan(y)
    return both or math.isclose(x, y, rel_tol=TOLERANCE, abs_tol=1e-12)


def _unlike_lines(a: str | None, b: str | None) -> tuple[str | None, str | None]:
    """Without the lines that both have; with them where nothing else would be left of one."""
    if a is None or b is None:
        return a, b
    lines = a.split("\n"), b.split("\n")
    only_a = [line for line in lines[0] if line not in lines[1]]
    only_b = [line for line in lines[1] if line not in lines[0]]
    return ("\n".join(only_a), "\n".join(only_b)) if only_a and only_b else (a, b)


def _numbers(a: Fact | None, b: Fact | None) -> tuple[Number, ...]:
    first, second = (dict(fact.numbers) if fact else {} for fact in (a, b))
    return tuple(Number(label, first.get(label), second.get(label)) for label in merged(first, second))


def merged(a: Iterable[str], b: Iterable[str]) -> list[str]:
    """The names of both, each once, in an order that is the same when A and B change places."""
    places: dict[str, int] = {}
    for names in (a, b):
        for place, name in enumerate(names):
            places[name] = min(place, places.get(name, place))
    return sorted(places, key=lambda name: (places[name], name))
