"""Where the matrices of an iteration lie in the memory of one parameter: those that are never alive together share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from muondsl.runtime.forms import SOURCE, Operation

# A row of whole vectors of 16 bytes in every format, and what tensor descriptors and caches like.
LEADING_ELEMENTS = 16
BASE_BYTES = 256


def padded(size: int, multiple: int) -> int:
    return -(-size // multiple) * multiple


@dataclass(frozen=True, slots=True)
class Place:
    """Where a matrix lies: offset and size in bytes, leading dimension in elements."""

    offset: int
    bytes: int
    leading: int

    @property
    def end(self) -> int:
        return self.offset + self.bytes


@dataclass(frozen=True, slots=True)
class Layout:
    """Memory in two pieces: the source's own, in which later iterates lie too, and a scratch.

    Offsets count through the one and then the other; no matrix lies in both.
    """

    source_bytes: int
    scratch_bytes: int
    leading: int
    places: Mapping[str, Place]
    result: str

    @property
    def bytes(self) -> int:
        """The working set of the matrix, source and result included."""
        return self.source_bytes + self.scratch_bytes

    def address(self, name: str, source: int, scratch: int) -> int:
        """Where a matrix lies, given where the two pieces do."""
        offset = self.places[name].offset
        return source + offset if offset < self.source_bytes else scratch + offset - self.source_bytes

    def result_address(self, source: int, scratch: int) -> int:
        return self.address(self.result, source, scratch)


def layout(operations: Sequence[Operation], short: int, long: int, itemsize: int) -> Layout:
    """The layout of a (short, long) matrix under these operations; without any, of a source that becomes the result.

    Iterates take turns between the source and the start of the scratch. A square takes the lowest place that is free
    while it lives, which may be that of the iterate that is not alive. Squares that live to the last are placed first:
    the last one of a segment lives beside two iterates. No operation writes over what it reads.
    """
    leading, square_leading = padded(long, LEADING_ELEMENTS), padded(short, LEADING_ELEMENTS)
    panel = padded(short * leading * itemsize, BASE_BYTES)
    square = padded(short * square_leading * itemsize, BASE_BYTES)
    lives = _lives(operations)
    panels = [SOURCE, *(operation.out for operation in operations if operation.is_panel)]
    places = {name: Place(turn % 2 * panel, panel, leading) for turn, name in enumerate(panels)}
    squares = [operation.out for operation in operations if not operation.is_panel]
    for name in sorted(squares, key=lambda name: lives[name][::-1], reverse=True):
        begin, end = lives[name]
        taken = [place for other, place in places.items() if lives[other][0] <= end and begin <= lives[other][1]]
        places[name] = Place(_lowest_gap(taken, square), square, square_leading)
    size = max(place.end for place in places.values())
    return Layout(panel, size - panel, leading, places, panels[-1])


def _lives(operations: Sequence[Operation]) -> dict[str, tuple[int, int]]:
    """For each matrix the operation that writes it (−1: before the first) and the last one that reads it."""
    lives = {SOURCE: (-1, -1)}
    for time, operation in enumerate(operations):
        lives |= {name: (lives[name][0], time) for name in operation.inputs}
        lives[operation.out] = (time, time)
    return lives


def _lowest_gap(taken: Sequence[Place], size: int) -> int:
    """The lowest offset at which `size` bytes are free."""
    offset = 0
    for place in sorted(taken, key=lambda place: place.offset):
        if place.offset - offset >= size:
            break
        offset = max(offset, place.end)
    return offset
