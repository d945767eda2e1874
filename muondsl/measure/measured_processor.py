"""This processor with figures that were measured, as `muondsl tune` writes them."""

from __future__ import annotations

from collections.abc import Callable

import torch

from muondsl.measure.peaks import SIDE, bandwidth, median_seconds, product_rate, seconds_of_call, threads_of_torch
from muondsl.runtime.processor import MEASURED_DTYPES, PANEL_ROWS, Processor, ProductRate, processor_name
from muondsl.runtime.torch_iteration import fill_symmetric


def measured_processor(report: Callable[[str], None] = lambda line: None) -> Processor:
    """Takes some seconds, which nothing else on the machine should share. `report` is told each figure."""
    with threads_of_torch(1):
        rates = tuple(_rate(dtype, report) for dtype in MEASURED_DTYPES)
        found = Processor(processor_name(), rates, bandwidth(), seconds_of_call(), is_measured=True)
    report(f"memory: {found.bandwidth / 1e9:.1f} GB/s, read and written; an operation: {found.call * 1e6:.1f} µs")
    return found


def _rate(dtype: torch.dtype, report: Callable[[str], None]) -> ProductRate:
    flops = product_rate(dtype)
    rate = ProductRate(dtype, flops, min(1.0, _rate_of_panels(dtype) / flops))
    name = str(dtype).removeprefix("torch.")
    report(f"{name}: {flops / 1e9:.1f} GFLOP/s, {rate.panel:.0%} of it in panels of {PANEL_ROWS} rows")
    return rate


def _rate_of_panels(dtype: torch.dtype) -> float:
    """FLOP/s of a symmetric product, of which each panel begins at the diagonal."""
    x = torch.randn(SIDE, SIDE).to(dtype)
    out = torch.empty_like(x)
    computed = sum(min(PANEL_ROWS, SIDE - begin) * (SIDE - begin) for begin in range(0, SIDE, PANEL_ROWS))
    seconds = median_seconds(lambda: fill_symmetric(out, x, x.mT, PANEL_ROWS, addend=None))
    return 2 * computed * SIDE / seconds
