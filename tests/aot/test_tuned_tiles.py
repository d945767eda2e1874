"""Files of tiles: what is found in them, and what is said of malformed ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from muondsl.runtime.tiles import Tile
from muondsl.runtime.tuned_tiles import (
    TILES_FORMAT,
    MalformedTilesError,
    TunedTile,
    TunedTiles,
    read_tiles,
    tuned_tiles,
)

ROW: dict[str, Any] = {
    "architecture": "sm_90",
    "dtype": "bfloat16",
    "is_symmetric": True,
    "from_side": 512,
    "block_m": 128,
    "block_n": 128,
    "block_k": 64,
    "warps": 8,
    "stages": 3,
    "uses_descriptors": True,
}
TILE = Tile(128, 128, 64, warps=8, stages=3, uses_descriptors=True)


def written(path: Path, *rows: Any) -> Path:
    file = path / "tiles.json"
    file.write_text(json.dumps({"format": TILES_FORMAT, "tiles": list(rows)}), "utf-8")
    return file


def test_the_entry_with_the_greatest_side_that_is_not_above_holds(tmp_path: Path) -> None:
    tiles = read_tiles(written(tmp_path, ROW, {**ROW, "from_side": 2048, "block_k": 128}))
    assert tiles.find("sm_90", "bfloat16", is_symmetric=True, side=511) is None
    assert tiles.find("sm_90", "bfloat16", is_symmetric=True, side=512) == TILE
    assert tiles.find("sm_90", "bfloat16", is_symmetric=True, side=2047) == TILE
    assert tiles.find("sm_90", "bfloat16", is_symmetric=True, side=9999) != TILE
    assert tiles.find("sm_90", "bfloat16", is_symmetric=False, side=512) is None
    assert tiles.find("sm_80", "bfloat16", is_symmetric=True, side=512) is None
    assert tiles.find("sm_90", "float16", is_symmetric=True, side=512) is None


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    slow = TunedTile("sm_90", "bfloat16", True, 512, TILE, "NVIDIA H100", 0.25)
    fast = TunedTile("sm_90", "bfloat16", True, 512, Tile(64, 64, 64, 4, 3, registers=96), "NVIDIA H100", 0.125)
    other = TunedTile("gfx942", "float32", False, 0, Tile(64, 64, 16, 4, 2, splits_diagonal=True))
    tiles = TunedTiles().updated([slow, other]).updated([fast])
    path = tmp_path / "tiles.json"
    path.write_text(tiles.to_json(), "utf-8")
    assert read_tiles(path).entries == (other, fast)


MALFORMED = {
    "no power of two": ({"block_m": 96}, "block_m should be a power of two between 16 and 256 but is: 96"),
    "too many warps": ({"warps": 32}, "warps should be a power of two between 1 and 16 but is: 32"),
    "no integer": ({"block_k": "64"}, "block_k should be an integer but is: '64'"),
    "a flag for a number": ({"stages": True}, "stages should be an integer but is: True"),
    "no stage": ({"stages": 0}, "stages should be between 1 and 8 but is: 0"),
    "negative side": ({"from_side": -1}, "from_side should be at least 0 but is: -1"),
    "unknown architecture": (
        {"architecture": "sm_70"},
        "architecture should be one of sm_80, sm_90, sm_100, gfx942 but is: 'sm_70'",
    ),
    "unhashable architecture": (
        {"architecture": []},
        "architecture should be one of sm_80, sm_90, sm_100, gfx942 but is: []",
    ),
    "unknown dtype": ({"dtype": "bf16"}, "dtype should be one of bfloat16, float16, float32 but is: 'bf16'"),
    "no flag": ({"is_symmetric": 1}, "is_symmetric should be true or false but is: 1"),
    "unknown entry": ({"wraps": 8}, "has unknown entries: wraps"),
    "registers": ({"registers": 4}, "registers should be between 32 and 512 but is: 4"),
    "no square": ({"block_m": 64, "block_n": 128}, "block_m and block_n should be equal in a symmetric product"),
    "small halves": (
        {"block_m": 16, "block_n": 16, "splits_diagonal": True},
        "splits_diagonal needs blocks of 32 at least",
    ),
    "registers of AMD": ({"architecture": "gfx942", "registers": 96}, "registers cannot be limited on gfx942"),
    "no number": ({"milliseconds": "fast"}, "milliseconds should be a number but is: 'fast'"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_entry_is_named_with_what_it_should_be(case: str, tmp_path: Path) -> None:
    change, message = MALFORMED[case]
    path = written(tmp_path, ROW, {**ROW, "from_side": 1024, **change})
    with pytest.raises(MalformedTilesError) as caught:
        read_tiles(path)
    assert str(caught.value) == f"{path}, entry 2: {message}"


@pytest.mark.parametrize("name", ["architecture", "block_n", "is_symmetric", "stages"])
def test_a_missing_entry_is_named(name: str, tmp_path: Path) -> None:
    path = written(tmp_path, {key: value for key, value in ROW.items() if key != name})
    with pytest.raises(MalformedTilesError, match=f"entry 1: has no {name}$"):
        read_tiles(path)


def test_two_entries_for_the_same_products_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MalformedTilesError, match="entry 2: an entry before it is for the same products"):
        read_tiles(written(tmp_path, ROW, ROW))


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"format": "muondsl tiles 2", "tiles": []}', "\xff"])
def test_what_is_no_file_of_tiles_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "tiles.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(MalformedTilesError, match=r"tiles\.json"):
        read_tiles(path)


def test_an_entry_that_is_no_object_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MalformedTilesError, match="entry 1: should be an object"):
        read_tiles(written(tmp_path, 3))


def test_the_environment_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tuned_tiles.cache_clear()
    monkeypatch.setenv("MUONDSL_TILES", str(tmp_path / "missing.json"))
    with pytest.raises(MalformedTilesError, match=r"cannot read tiles from .*missing\.json"):
        tuned_tiles()
    monkeypatch.setenv("MUONDSL_TILES", str(written(tmp_path, ROW)))
    assert len(tuned_tiles().entries) == 1
    tuned_tiles.cache_clear()
    monkeypatch.delenv("MUONDSL_TILES")
    assert tuned_tiles().entries == ()
    tuned_tiles.cache_clear()
