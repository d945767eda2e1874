"""What is measured of this CPU, by a clock of the test's own, and that nothing is left changed."""

from __future__ import annotations

import time
from itertools import count

import pytest
import torch

from muondsl.measure import peaks
from muondsl.measure.peaks import median_seconds, threads_of_torch


def test_rates_are_work_by_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a clock on which every run takes a second. What is multiplied in place is read and written once."""
    ticks = count()
    monkeypatch.setattr(peaks, "perf_counter", lambda: float(next(ticks)))
    monkeypatch.setattr(peaks, "SIDE", 16)
    monkeypatch.setattr(peaks, "COPIED_BYTES", 2**16)
    found = peaks.measure_peaks(1, (torch.float32, torch.float64))
    assert found.products == dict.fromkeys((torch.float32, torch.float64), 2 * 16**3)
    assert (found.threads, found.bandwidth, found.call) == (1, 2 * 2**16, 1 / peaks.CALLS)


def test_threads_are_as_before() -> None:
    before = torch.get_num_threads()
    with threads_of_torch(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
    with pytest.raises(KeyError), threads_of_torch(before + 1):
        raise KeyError
    assert torch.get_num_threads() == before
    peaks.measure_peaks(before + 1, ())
    assert torch.get_num_threads() == before


def test_the_median_leaves_out_the_first_run_and_outliers() -> None:
    waits = iter((0.05, 0.0, 0.05, 0.0, 0.0, 0.0))
    assert median_seconds(lambda: time.sleep(next(waits)), seconds=0, least=5) < 0.04
