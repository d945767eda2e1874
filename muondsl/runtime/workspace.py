"""Memory that a step needs between its launches: one arena, from which every matrix has a piece for each workspace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from muondsl.runtime.layout import BASE_BYTES, LEADING_ELEMENTS, padded

FORMS: dict[str, tuple[str, ...]] = {
    "rows, cols": ("rows", "cols"),
    "short, long": ("short", "long"),
    "short, short": ("short", "short"),
    "rows, rows": ("rows", "rows"),
    "cols, cols": ("cols", "cols"),
    "rows": ("rows",),
    "cols": ("cols",),
    "short": ("short",),
    "long": ("long",),
    "flat": ("numel",),
    "1, 1": (),
}
"""What a workspace may hold for each matrix, by the words of generated code."""


class Arena:
    """Hands out addresses from one allocation. Without a device it only counts: addresses are then of no memory."""

    def __init__(self, size: int = 0, device: torch.device | None = None) -> None:
        self.memory: Tensor | None = None
        self.size, self.used, self.begin = size, 0, BASE_BYTES
        if device is not None:
            self.memory = torch.empty(size + BASE_BYTES, dtype=torch.uint8, device=device)
            self.begin = padded(self.memory.data_ptr(), BASE_BYTES)

    def take(self, size: int) -> int:
        """The address of a piece that nothing else has."""
        address = self.begin + self.used
        self.used += padded(size, BASE_BYTES)
        if self.memory is not None and self.used > self.size:
            raise AssertionError(f"an arena of {self.size} bytes is too small: {self.used} are taken")
        return address


def sides_of(rows: int, cols: int) -> dict[str, int]:
    """The dimensions of a matrix by their names."""
    short, long = sorted((rows, cols))
    return {"rows": rows, "cols": cols, "short": short, "long": long, "numel": rows * cols}


def extents(form: str, rows: int, cols: int) -> tuple[int, int]:
    """How many elements a workspace has for a matrix, padding included, and the step from row to row.

    Rows of a matrix begin at multiples of 16 elements. A vector's row is one number.
    """
    sides = sides_of(rows, cols)
    sizes = [sides[side] for side in FORMS[form]]
    if len(sizes) == 2:
        leading = padded(sizes[1], LEADING_ELEMENTS)
        return sizes[0] * leading, leading
    if form == "flat":
        return sizes[0], cols
    return (sizes[0] if sizes else 1), 1


@dataclass(frozen=True, slots=True)
class Workspace:
    """A tensor for each matrix that lives from one launch of a step to a later one.

    `table` is what kernels read: for a matrix address, leading dimension, one; for parts of a reduction address, number
    of parts, length of each.
    """

    form: str
    dtype: torch.dtype
    rows: Sequence[tuple[int, int, int]]
    table: Tensor

    @property
    def addresses(self) -> list[int]:
        return [address for address, _, _ in self.rows]
