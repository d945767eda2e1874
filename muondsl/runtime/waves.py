"""Sequences of launches of several kinds of matrices, joined so that they share as many launches as possible."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from functools import reduce
from typing import TypeVar

Step = TypeVar("Step", bound=Hashable)


def common_supersequence(first: Sequence[Step], second: Sequence[Step]) -> tuple[Step, ...]:
    """A shortest sequence that holds both of these, each in its own order."""
    # lengths[i][j] is that of the shortest one for first[i:] and second[j:].
    lengths = [[0] * (len(second) + 1) for _ in range(len(first) + 1)]
    for i in range(len(first), -1, -1):
        for j in range(len(second), -1, -1):
            if i == len(first) or j == len(second):
                lengths[i][j] = len(first) - i + len(second) - j
            elif first[i] == second[j]:
                lengths[i][j] = 1 + lengths[i + 1][j + 1]
            else:
                lengths[i][j] = 1 + min(lengths[i + 1][j], lengths[i][j + 1])
    i = j = 0
    merged: list[Step] = []
    while i < len(first) and j < len(second):
        if first[i] == second[j]:
            merged.append(first[i])
            i, j = i + 1, j + 1
        elif lengths[i + 1][j] <= lengths[i][j + 1]:
            merged.append(first[i])
            i += 1
        else:
            merged.append(second[j])
            j += 1
    return (*merged, *first[i:], *second[j:])


def waves(sequences: Iterable[Sequence[Step]]) -> tuple[Step, ...]:
    """A short sequence that holds each of these, in its own order: the longest are joined first, two at a time.

    It is shortest for one or two sequences. It depends on the set of sequences, not on their order or number.
    """
    distinct = sorted(
        {tuple(sequence) for sequence in sequences}, key=lambda sequence: (-len(sequence), repr(sequence))
    )
    return reduce(common_supersequence, distinct, ())


def places(sequence: Sequence[Step], merged: Sequence[Step]) -> tuple[int, ...]:
    """For each element of the sequence the first place in `merged` that can take it. Raises ValueError if none can."""
    found: list[int] = []
    for key in sequence:
        found.append(merged.index(key, found[-1] + 1 if found else 0))
    return tuple(found)
