"""Tiles that `muondsl tune` measured on a device, in a file that can be shared.

    {"format": "muondsl tiles 1",
     "tiles": [{"architecture": "sm_90", "dtype": "bfloat16", "is_symmetric": true, "from_side": 1024, "block_m": 128,
                "block_n": 128, "block_k": 64, "warps": 8, "stages": 3, "uses_descriptors": true, "device": "…",
                "milliseconds": 0.21}, …]}

An entry holds for products whose result has a shorter side of `from_side` or more, up to the next entry. `device` and
`milliseconds` say where it comes from. Where a file says nothing, the tiles that muondsl brings stand.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

from muondsl.runtime.json_rows import Row, read_rows, to_file
from muondsl.runtime.tiles import ARCHITECTURES, Tile

TILES_FORMAT = "muondsl tiles 1"
TILES_VARIABLE = "MUONDSL_TILES"
TILE_DTYPES = ("bfloat16", "float16", "float32")

_TILE_FIELDS = tuple(field.name for field in fields(Tile))


class MalformedTilesError(ValueError):
    """A file of tiles cannot be read, or is not what `muondsl tune` writes."""


@dataclass(frozen=True, slots=True)
class TunedTile:
    architecture: str
    dtype: str
    is_symmetric: bool
    from_side: int
    tile: Tile
    device: str = ""
    milliseconds: float = 0.0

    @property
    def key(self) -> tuple[str, str, bool, int]:
        return self.architecture, self.dtype, self.is_symmetric, self.from_side


@dataclass(frozen=True, slots=True)
class TunedTiles:
    entries: tuple[TunedTile, ...] = ()

    def find(self, architecture: str, dtype: str, *, is_symmetric: bool, side: int) -> Tile | None:
        """The tile of the entry with the greatest `from_side` that is not above `side`; None if there is none."""
        holding = [
            entry
            for entry in self.entries
            if entry.key[:3] == (architecture, dtype, is_symmetric) and entry.from_side <= side
        ]
        return max(holding, key=lambda entry: entry.from_side).tile if holding else None

    def updated(self, others: Iterable[TunedTile]) -> TunedTiles:
        """Others take the place of entries for the same products."""
        entries = {entry.key: entry for entry in (*self.entries, *others)}
        return TunedTiles(tuple(entries[key] for key in sorted(entries)))

    def to_json(self) -> str:
        return to_file(TILES_FORMAT, "tiles", map(_to_row, self.entries))


@cache
def tuned_tiles() -> TunedTiles:
    """Those of the file that the environment names in MUONDSL_TILES, read once; none without it."""
    path = os.environ.get(TILES_VARIABLE)
    return read_tiles(Path(path)) if path else TunedTiles()


def read_tiles(path: Path) -> TunedTiles:
    """Raises MalformedTilesError, with the file and the entry, for what is not as `to_json` writes it."""
    entries: dict[tuple[str, str, bool, int], TunedTile] = {}
    for row in read_rows(path, TILES_FORMAT, "tiles", MalformedTilesError):
        entry = _to_entry(row)
        if entry.key in entries:
            raise row.error("an entry before it is for the same products")
        entries[entry.key] = entry
    return TunedTiles(tuple(entries.values()))


def _to_entry(row: Row) -> TunedTile:
    row.check_names({"architecture", "dtype", "is_symmetric", "from_side", "device", "milliseconds", *_TILE_FIELDS})
    entry = TunedTile(
        architecture=row.choice("architecture", ARCHITECTURES),
        dtype=row.choice("dtype", TILE_DTYPES),
        is_symmetric=row.flag("is_symmetric"),
        from_side=row.integer("from_side", 0),
        tile=_to_tile(row),
        device=row.text("device") if "device" in row.entries else "",
        milliseconds=row.number("milliseconds") if "milliseconds" in row.entries else 0.0,
    )
    if entry.is_symmetric and entry.tile.block_m != entry.tile.block_n:
        raise row.error("block_m and block_n should be equal in a symmetric product")
    if entry.tile.splits_diagonal and min(entry.tile.block_m, entry.tile.block_n) < 32:
        raise row.error("splits_diagonal needs blocks of 32 at least")
    if entry.tile.registers is not None and entry.architecture.startswith("gfx"):
        raise row.error("registers cannot be limited on gfx942")
    return entry


def _to_tile(row: Row) -> Tile:
    return Tile(
        block_m=row.power_of_two("block_m", 16, 256),
        block_n=row.power_of_two("block_n", 16, 256),
        block_k=row.power_of_two("block_k", 16, 256),
        warps=row.power_of_two("warps", 1, 16),
        stages=row.integer("stages", 1, 8),
        uses_descriptors="uses_descriptors" in row.entries and row.flag("uses_descriptors"),
        splits_diagonal="splits_diagonal" in row.entries and row.flag("splits_diagonal"),
        registers=None if row.entries.get("registers") is None else row.integer("registers", 32, 512),
    )


def _to_row(entry: TunedTile) -> Mapping[str, Any]:
    return {
        "architecture": entry.architecture,
        "dtype": entry.dtype,
        "is_symmetric": entry.is_symmetric,
        "from_side": entry.from_side,
        **{name: getattr(entry.tile, name) for name in _TILE_FIELDS},
        "device": entry.device,
        "milliseconds": entry.milliseconds,
    }
