"""How wide a kernel's accesses to global memory are, apart for tiles, vectors and scalars.

A load of one number from a table of addresses is narrow and rightly so; a narrow load of a matrix is a defect. The
binary does not tell them apart, but Triton's text does: the place in the source where a tensor of rank 2 is loaded is
known there, and the binary says for every instruction which place it comes from. So

    %x = tt.load %p : tensor<64x64x!tt.ptr<f32>> loc("kernel.py":18:9)      and
    .loc 1 18 9   global_load_dwordx4 v[0:3], v[0:1], off   →   loads.counts == {"tile": {16: 1}}

What no place in the source asks for, such as what the compiler itself adds, has the rank `other`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

RANKS = ("other", "scalar", "vector", "tile")

Place = tuple[str, int, int]
"""A source file, a line and a column of it."""

_ACCESS = re.compile(
    r"\b(?:tt\.load|tt\.store|ttg\.async_copy_global_to_local|amdg?\.buffer_(?:load|store)\w*)\b"
    r"(?P<rest>.*) loc\((?P<place>.*)\)$"
)
_DEFINITION = re.compile(r"^(#loc\d*) = loc\((.*)\)$", re.MULTILINE)
_BRACES = re.compile(r"\{[^{}]*\}")
_SHAPE = re.compile(r" : .*?tensor<((?:\d+x)+)")
_PLACE = re.compile(r'"([^"]+)":(\d+):(\d+)')
_NAME = re.compile(r"#loc\d*")


@dataclass(frozen=True, slots=True)
class Access:
    """One instruction: a load or a store of `width` bytes a thread, of a tensor of `rank`."""

    is_store: bool
    width: int
    rank: str


@dataclass(frozen=True, slots=True)
class Widths:
    """How many instructions there are of each width in bytes, for each rank of what they access."""

    counts: Mapping[str, Mapping[int, int]]

    @property
    def narrowest(self) -> int | None:
        """The least width at which tensors are accessed: of tiles where there are any, else of vectors."""
        for rank in ("tile", "vector"):
            if self.counts.get(rank):
                return min(self.counts[rank])
        return None


def ranks_of_places(ttgir: str) -> dict[Place, str]:
    """The rank of what is loaded or stored at each place in the source, the highest if there are several."""
    places = dict(_DEFINITION.findall(ttgir))
    found: dict[Place, str] = {}
    for text in ttgir.splitlines():
        if access := _ACCESS.search(text):
            place = _resolve(access["place"], places)
            if place is not None:
                found[place] = higher(found.get(place), _rank(access["rest"]))
    return found


def higher(rank: str | None, other: str) -> str:
    return other if rank is None else max(rank, other, key=RANKS.index)


def widths(accesses: Iterable[Access], *, is_store: bool) -> Widths:
    """The loads or the stores among `accesses`, counted: high ranks and great widths first."""
    counts = Counter((access.rank, access.width) for access in accesses if access.is_store == is_store)
    found: dict[str, dict[int, int]] = {}
    for rank, width in sorted(counts, key=lambda key: (RANKS.index(key[0]), key[1]), reverse=True):
        found.setdefault(rank, {})[width] = counts[rank, width]
    return Widths(found)


def _rank(operation: str) -> str:
    """A side of length 1 is no side: `tensor<64x1x…>` is a vector."""
    while _BRACES.search(operation):
        operation = _BRACES.sub("", operation)
    shape = _SHAPE.search(operation)
    sides = [side for side in shape[1].split("x") if side not in ("", "1")] if shape else []
    return ("scalar", "vector", "tile")[min(len(sides), 2)]


def _resolve(place: str, places: Mapping[str, str]) -> Place | None:
    """`"x"(#loc5)` and `callsite(#loc5 at #loc9)` → the file, line and column of `#loc5`."""
    if found := _PLACE.search(place):
        return found[1], int(found[2]), int(found[3])
    name = _NAME.search(place)
    return _resolve(places[name[0]], places) if name and name[0] in places else None
