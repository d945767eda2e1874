"""Who passes for whom: how far the matrix update of every spec is from every reference."""

from __future__ import annotations

from functools import cache

from torch import Tensor

from tests.family.entry import Entry, Shape
from tests.family.movements import expected_movement, hypers_of, movement
from tests.family.table import ENTRIES
from tests.parity.trajectories import relative

PROBES: tuple[tuple[str, Shape], ...] = (
    ("ordinary", (32, 96)),
    ("ordinary", (96, 32)),
    ("tiny", (32, 96)),
    ("tiny", (96, 32)),
    ("huge", (32, 96)),
)
"""Both long sides, and gradients at which the place and the size of each ε show, or do not show at all."""

MATRICES = tuple(name for name, entry in ENTRIES.items() if entry.matrix)


@cache
def distances(names: tuple[str, ...] = MATRICES) -> dict[tuple[str, str], float]:
    """(spec, reference) → the relative error in fp64 of the movement, at the probe that tells the two apart best.

    A spec and its own reference are compared at those probes at which they are meant to be the same.
    """
    entries = [ENTRIES[name] for name in names]
    ours = {entry.spec: [_found(entry, *probe) for probe in PROBES] for entry in entries}
    theirs = {entry.spec: [_expected(entry, *probe) for probe in PROBES] for entry in entries}
    shared = {entry.spec: [kind in (*entry.kinds, "huge") for kind, _ in PROBES] for entry in entries}
    return {
        (spec, reference): max(
            relative(found, expected)
            for found, expected, is_shared in zip(ours[spec], theirs[reference], shared[spec], strict=True)
            if spec != reference or is_shared
        )
        for spec in names
        for reference in names
    }


def _found(entry: Entry, kind: str, shape: Shape) -> Tensor:
    return movement(entry.spec, "matrix", shape, kind, "fp64", hypers_of(entry, "matrix"))


def _expected(entry: Entry, kind: str, shape: Shape) -> Tensor:
    assert entry.matrix is not None
    return expected_movement(entry.matrix, shape, kind, hypers_of(entry, "matrix"), entry.names)
