"""What this CPU reaches at best: products of large matrices, memory read and written in order, calls of operations."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter

import torch

DTYPES = (torch.bfloat16, torch.float16, torch.float32)
SIDE = 768
"""Of the matrices that are multiplied."""

COPIED_BYTES = 2**26
"""More than caches hold that are a core's own."""

CALLS = 1000


@dataclass(frozen=True, slots=True)
class Peaks:
    """`products`: FLOP/s by the format of both factors. `bandwidth`: bytes/s, read and written. `call`: seconds that an
    operation takes beside its work. All of `threads` threads in one operation.
    """

    threads: int
    products: Mapping[torch.dtype, float]
    bandwidth: float
    call: float


def measure_peaks(threads: int | None = None, dtypes: tuple[torch.dtype, ...] = DTYPES) -> Peaks:
    """The peaks of this many threads, or of as many as torch has. Takes a second or two."""
    threads = threads or torch.get_num_threads()
    with threads_of_torch(threads):
        products = {dtype: product_rate(dtype) for dtype in dtypes}
        return Peaks(threads, products, max(bandwidth(), bandwidth_in_place()), seconds_of_call())


@contextmanager
def threads_of_torch(threads: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def product_rate(dtype: torch.dtype) -> float:
    """FLOP/s of products of two square matrices."""
    left, right = (torch.randn(SIDE, SIDE).to(dtype) for _ in range(2))
    out = torch.empty_like(left)
    return 2 * SIDE**3 / median_seconds(lambda: torch.mm(left, right, out=out))


def bandwidth() -> float:
    """Bytes/s, read and written, of a copy."""
    source = torch.ones(COPIED_BYTES // 4)
    target = torch.zeros_like(source)
    return 2 * COPIED_BYTES / median_seconds(lambda: target.copy_(source))


def bandwidth_in_place() -> float:
    """Bytes/s, read and written, of factors in place. A copy is slower where its target is read before it is written
    over.
    """
    numbers = torch.ones(COPIED_BYTES // 4)
    return 2 * COPIED_BYTES / median_seconds(lambda: numbers.mul_(1.0))


def seconds_of_call() -> float:
    """Of an operation that computes next to nothing."""
    number = torch.zeros(1)

    def calls() -> None:
        for _ in range(CALLS):
            number.add_(1.0)

    return median_seconds(calls) / CALLS


def median_seconds(run: Callable[[], object], *, seconds: float = 0.2, least: int = 3) -> float:
    """The median of as many runs as fit the seconds, behind one to warm up."""
    run()
    times: list[float] = []
    started = perf_counter()
    while len(times) < least or perf_counter() - started < seconds:
        begin = perf_counter()
        run()
        times.append(perf_counter() - begin)
    return statistics.median(times)
