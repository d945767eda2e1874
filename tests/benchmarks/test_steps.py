"""The arithmetic of ratios, and the table of steps."""

from __future__ import annotations

import pytest

from benchmarks.steps import Timed, ratio
from benchmarks.steps_report import as_data, table
from benchmarks.subjects import REFERENCE


def test_ratios_are_of_the_same_round() -> None:
    """Rounds in which all is slow count like the others: the ratios are 2, 2, 3, not those of medians."""
    found = ratio(Timed("one", rounds=[1.0, 10.0, 1.0]), Timed(REFERENCE, rounds=[2.0, 20.0, 3.0]))
    assert (found.median, found.lower, found.upper) == pytest.approx((2.0, 2.0, 2.5))


def test_the_slowest_is_first_and_who_failed_is_last() -> None:
    found = [
        Timed("fast", first=0.3, rounds=[0.1] * 3, is_equal=False),
        Timed("failed", problem="ValueError: no"),
        Timed(REFERENCE, first=0.2, rounds=[0.2] * 3),
    ]
    lines = list(table(found))
    assert [line.split()[0] for line in lines] == [REFERENCE, "fast", "failed"]
    assert "2.00× (2.00–2.00)" in lines[1]
    assert lines[1].endswith("100.0 ms, first 3.0×, NOT EQUAL")
    assert as_data({"set": found})["set"]["fast"]["seconds"] == [0.1] * 3
