"""What is measured of this CPU: orders of magnitude, which no machine is beyond, and that nothing is left changed."""

from __future__ import annotations

import time

import pytest
import torch

from muondsl.measure import peaks
from muondsl.measure.peaks import median_seconds, threads_of_torch


def test_rates_are_those_of_a_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peaks, "COPIED_BYTES", 2**24)
    found = peaks.measure_peaks(1, (torch.float32, torch.float64))
    assert found.threads == 1
    assert set(found.products) == {torch.float32, torch.float64}
    assert 1e8 < found.products[torch.float64] < found.products[torch.float32] < 1e13
    assert 1e8 < found.bandwidth < 1e12
    assert 1e-8 < found.call < 1e-3
    # An element that is multiplied often is worth more than one that is moved, and a call more than either.
    assert found.products[torch.float32] > found.bandwidth / 4
    assert found.call > 1 / found.bandwidth


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
