"""The first steps of a process: `python -m benchmarks.first_steps NAME WIDTH`, for one that has taken none."""

from __future__ import annotations

import json
import statistics
import sys
from time import perf_counter

from benchmarks.parameter_sets import gpt
from benchmarks.subjects import parameters, subjects, with_gradients

LATER = 3


def first_steps(name: str, width: int) -> dict[str, float]:
    """Seconds of the first step and of a later one, of one layer of GPT-2 of this width."""
    members = parameters(gpt(width, 1))
    (subject,) = (each for each in subjects() if each.name == name)
    step = with_gradients(subject.make(members), members)
    times = []
    for _ in range(2 + LATER):
        started = perf_counter()
        step()
        times.append(perf_counter() - started)
    return {"first": times[0], "later": statistics.median(times[2:])}


if __name__ == "__main__":
    print(json.dumps(first_steps(sys.argv[1], int(sys.argv[2]))))
