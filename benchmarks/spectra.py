"""Matrices of given singular values, the hard ones among them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor


def random(*shape: int) -> Tensor:
    """The same numbers for a shape at every call."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64)


SPECTRA: dict[str, Callable[[int], Tensor]] = {
    "gauss": lambda side: torch.linalg.svdvals(random(side, 4 * side)),
    "1/i": lambda side: 1 / torch.arange(1, side + 1, dtype=torch.float64),
    "1 to 1e-6": lambda side: torch.logspace(0, -6, side, dtype=torch.float64),
    "rank 32": lambda side: torch.where(torch.arange(side) < 32, 1.0, 1e-12).double(),
}


@cache
def matrix(rows: int, cols: int, spectrum: str = "gauss") -> Tensor:
    """Of norm 1, in float64, with no more rows than columns."""
    left, right = (torch.linalg.qr(random(size, rows))[0] for size in (rows, cols))
    values = SPECTRA[spectrum](rows)
    found: Tensor = (left * (values / values.norm())) @ right.mT
    return found
