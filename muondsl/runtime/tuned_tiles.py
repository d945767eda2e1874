"""Tiles that `muondsl tune` measured on a device, in a file that can be shared.

    {"format": "muondsl tiles 1",
     "tiles": [{"architecture": "sm_90", "dtype": "bfloat16", "is_symmetric": true, "from_side": 1024, "block_m": 128,
                "block_n": 128, "block_k": 64, "warps": 8, "stages": 3, "uses_descriptors": true, "device": "…",
                "milliseconds": 0.21}, …]}

An entry holds for products whose result has a shorter side of `from_side` or more, up to the next entry. `device` and
`milliseconds` say where it comes from. Where a file says nothing, the tiles that muondsl brings stand.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

from muondsl.runtime.tiles import ARCHITECTURES, Tile

FORMAT = "muondsl tiles 1"
VARIABLE = "MUONDSL_TILES"
DTYPES = ("bfloat16", "float16", "float32")

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
        rows = [json.dumps(_to_row(entry)) for entry in self.entries]
        body = ",\n".join(f"  {row}" for row in rows)
        return f'{{"format": "{FORMAT}",\n "tiles": [\n{body}\n ]}}\n'


@cache
def tuned_tiles() -> TunedTiles:
    """Those of the file that the environment names in MUONDSL_TILES, read once; none without it."""
    path = os.environ.get(VARIABLE)
    return read_tiles(Path(path)) if path else TunedTiles()


def read_tiles(path: Path) -> TunedTiles:
    """Raises MalformedTilesError, with the file and the entry, for what is not as `to_json` writes it."""
    try:
        data = json.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise MalformedTilesError(f"cannot read tiles from {path}: {error}") from error
    except json.JSONDecodeError as error:
        raise MalformedTilesError(f"{path} is not JSON: {error}") from error
    if not isinstance(data, dict) or data.get("format") != FORMAT or not isinstance(data.get("tiles"), list):
        raise MalformedTilesError(f'{path} is not a file of tiles: it should be {{"format": "{FORMAT}", "tiles": […]}}')
    entries: dict[tuple[str, str, bool, int], TunedTile] = {}
    for number, row in enumerate(data["tiles"], 1):
        entry = _Row(f"{path}, entry {number}", row).to_entry()
        if entry.key in entries:
            raise MalformedTilesError(f"{path}, entry {number}: an entry before it is for the same products")
        entries[entry.key] = entry
    return TunedTiles(tuple(entries.values()))


@dataclass(frozen=True, slots=True)
class _Row:
    """One object of the file. Its methods raise MalformedTilesError with the place."""

    place: str
    row: Any

    def to_entry(self) -> TunedTile:
        if not isinstance(self.row, dict):
            raise self.error("should be an object")
        known = {"architecture", "dtype", "is_symmetric", "from_side", "device", "milliseconds", *_TILE_FIELDS}
        if unknown := sorted(set(self.row) - known):
            raise self.error(f"has unknown entries: {', '.join(unknown)}")
        entry = TunedTile(
            architecture=self.choice("architecture", ARCHITECTURES),
            dtype=self.choice("dtype", DTYPES),
            is_symmetric=self.flag("is_symmetric"),
            from_side=self.integer("from_side", 0),
            tile=self.tile(),
            device=str(self.row.get("device", "")),
            milliseconds=self.number("milliseconds"),
        )
        if entry.is_symmetric and entry.tile.block_m != entry.tile.block_n:
            raise self.error("block_m and block_n should be equal in a symmetric product")
        if entry.tile.splits_diagonal and min(entry.tile.block_m, entry.tile.block_n) < 32:
            raise self.error("splits_diagonal needs blocks of 32 at least")
        if entry.tile.registers is not None and entry.architecture.startswith("gfx"):
            raise self.error("registers cannot be limited on gfx942")
        return entry

    def tile(self) -> Tile:
        return Tile(
            block_m=self.power_of_two("block_m", 16, 256),
            block_n=self.power_of_two("block_n", 16, 256),
            block_k=self.power_of_two("block_k", 16, 256),
            warps=self.power_of_two("warps", 1, 16),
            stages=self.integer("stages", 1, 8),
            uses_descriptors="uses_descriptors" in self.row and self.flag("uses_descriptors"),
            splits_diagonal="splits_diagonal" in self.row and self.flag("splits_diagonal"),
            registers=None if self.row.get("registers") is None else self.integer("registers", 32, 512),
        )

    def choice(self, name: str, known: Iterable[str]) -> str:
        value = self.value(name)
        if value not in tuple(known):
            raise self.error(f"{name} should be one of {', '.join(known)} but is: {value!r}")
        return str(value)

    def power_of_two(self, name: str, least: int, greatest: int) -> int:
        value = self.integer(name)
        if value.bit_count() != 1 or not least <= value <= greatest:
            raise self.error(f"{name} should be a power of two between {least} and {greatest} but is: {value}")
        return value

    def integer(self, name: str, least: int | None = None, greatest: int | None = None) -> int:
        value = self.value(name)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.error(f"{name} should be an integer but is: {value!r}")
        if (least is not None and value < least) or (greatest is not None and value > greatest):
            bounds = f"at least {least}" if greatest is None else f"between {least} and {greatest}"
            raise self.error(f"{name} should be {bounds} but is: {value}")
        return value

    def number(self, name: str) -> float:
        value = self.row.get(name, 0.0)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.error(f"{name} should be a number but is: {value!r}")
        return float(value)

    def flag(self, name: str) -> bool:
        value = self.value(name)
        if not isinstance(value, bool):
            raise self.error(f"{name} should be true or false but is: {value!r}")
        return value

    def value(self, name: str) -> Any:
        if name not in self.row:
            raise self.error(f"has no {name}")
        return self.row[name]

    def error(self, problem: str) -> MalformedTilesError:
        return MalformedTilesError(f"{self.place}: {problem}")


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
