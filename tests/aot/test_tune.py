"""The search for tiles, with a timer that says what a device might; and what there is without a device."""

from __future__ import annotations

import pytest
import torch

from muondsl.aot.errors import NoDeviceError
from muondsl.aot.targets import TARGETS
from muondsl.aot.tune import Case, candidate_tiles, fastest_tile, is_sound, tune, tune_device
from muondsl.runtime.choose_tile import product_tile
from muondsl.runtime.launch import Launch
from muondsl.runtime.tiles import Tile
from muondsl.runtime.tuned_tiles import TunedTiles, read_tiles
from tests.aot.kernels import product_launch

CPU = torch.device("cpu")
SM_80 = TARGETS["sm_80"]
CASE = Case(torch.bfloat16, is_symmetric=False, side=512)
USUAL = product_tile("sm_80", "bfloat16", is_symmetric=False, side=512)
SPILLING = Tile(128, 256, 64, warps=4, stages=3)
SMALL = Tile(64, 64, 32, warps=4, stages=3)
OTHER = Tile(128, 64, 32, warps=4, stages=3)


def block_of(launch: Launch) -> tuple[int, int]:
    return launch.constants["BLOCK_M"], launch.constants["BLOCK_N"]


def test_the_fastest_tile_is_chosen_and_one_that_spills_is_never_run() -> None:
    run = []

    def timer(launch: Launch) -> float:
        run.append(block_of(launch))
        return {(64, 64): 1.0, (128, 64): 2.0, (128, 256): 0.1}.get(block_of(launch), 3.0)

    tile, milliseconds, measured = fastest_tile(CASE, SM_80, [SPILLING, SMALL, OTHER, SMALL], timer, CPU)
    assert (tile, milliseconds, measured) == (SMALL, 1.0, 3)
    assert run == [(USUAL.block_m, USUAL.block_n), (64, 64), (128, 64)]


def test_the_usual_tile_stays_unless_another_is_clearly_faster() -> None:
    def timer(launch: Launch) -> float:
        return 0.99 if block_of(launch) == (64, 64) else 1.0

    tile, milliseconds, _ = fastest_tile(CASE, SM_80, [SMALL], timer, CPU)
    assert (tile, milliseconds) == (USUAL, 1.0)


def test_a_kernel_is_sound_if_it_neither_spills_nor_outgrows_a_multiprocessor() -> None:
    assert is_sound(product_launch(128, 128, 64, warps=8, stages=3), SM_80)
    assert not is_sound(product_launch(128, 256, 64, warps=4, stages=3), SM_80)
    assert not is_sound(product_launch(128, 128, 64, warps=8, stages=8), SM_80)
    assert not is_sound(product_launch(96, 128, 64, warps=8, stages=3), SM_80)


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("is_symmetric", [True, False])
def test_candidates_fit_the_target(target, dtype: torch.dtype, is_symmetric: bool) -> None:
    tiles = list(candidate_tiles(target, Case(dtype, is_symmetric, 1024)))
    assert len(tiles) >= 4
    assert len(set(tiles)) == len(tiles)
    for tile in tiles:
        assert tile.stages * (tile.block_m + tile.block_n) * tile.block_k * dtype.itemsize <= target.shared_per_block
        assert tile.block_m == tile.block_n or not is_symmetric
        assert not tile.uses_descriptors or target.name in ("sm_90", "sm_100")


def test_what_is_tuned_survives_a_file_and_is_found_again(tmp_path) -> None:
    lines: list[str] = []
    entries = tune(
        "sm_80",
        device=CPU,
        timer=lambda launch: 0.5 if block_of(launch) == (64, 64) else 1.0,
        dtypes=[torch.bfloat16],
        sides=[512, 1024],
        candidates=lambda target, case: [SMALL],
        device_name="none",
        report=lines.append,
    )
    assert [(entry.is_symmetric, entry.from_side) for entry in entries] == [
        (True, 512),
        (True, 1024),
        (False, 512),
        (False, 1024),
    ]
    assert lines[0] == "bfloat16 x xᵀ side 512: 0.500 ms with 64×64×32, 4 warps, 3 stages, of 2 candidates"
    path = tmp_path / "tiles.json"
    path.write_text(TunedTiles().updated(entries).to_json(), "utf-8")
    found = read_tiles(path)
    assert found.find("sm_80", "bfloat16", is_symmetric=False, side=700) == SMALL
    assert set(found.entries) == set(entries)


def test_without_a_device_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(NoDeviceError, match=r"^no GPU found: tune measures on the device$"):
        tune_device()
