"""Blocks a multiprocessor against cases worked out by hand."""

from __future__ import annotations

import pytest

from muondsl.aot.occupancy import Occupancy, Usage, occupancy
from muondsl.aot.targets import KIB, TARGETS

CASES = {
    # 90·32 = 2880 → 3072 words a warp; 16384 // 3072 = 5 warps a partition, 20 in all; 20 // 8 = 2.
    # 96 KiB + 24 + 1 KiB → 99456; 228 KiB // 99456 = 2: the first named of two that tie.
    "descriptors on sm_90": ("sm_90", Usage(90, 96 * KIB + 24, 8), Occupancy(2, "registers")),
    # 71·32 → 2304; 7 warps a partition, 28; 28 // 8 = 3, but shared memory holds 2.
    "shared memory first": ("sm_100", Usage(71, 96 * KIB + 48, 8, 128), Occupancy(2, "shared memory")),
    # 135·32 → 4352; 3 warps a partition, 12; 12 // 8 = 1.
    "registers in partitions": ("sm_80", Usage(135, 64 * KIB, 8), Occupancy(1, "registers")),
    # Of 65536 words 4352 take 15 warps, which would be 3 blocks of 4; in partitions it is 12 warps, still 3.
    "four warps": ("sm_80", Usage(135, 0, 4), Occupancy(3, "registers")),
    "255 registers": ("sm_90", Usage(255, 0, 8), Occupancy(1, "registers")),
    # 32·32 = 1024; 16 warps a partition, 64 in all.
    "64 warps": ("sm_90", Usage(32, 0, 4), Occupancy(16, "registers")),
    "one warp": ("sm_90", Usage(16, 0, 1), Occupancy(32, "blocks")),
    "few registers": ("sm_90", Usage(24, 0, 4), Occupancy(16, "warps")),
    "all of tensor memory": ("sm_100", Usage(64, 64 * KIB, 4, 512), Occupancy(1, "tensor memory")),
    "227 KiB": ("sm_90", Usage(64, 227 * KIB, 4), Occupancy(1, "shared memory")),
    "more than a block may have": ("sm_90", Usage(64, 227 * KIB + 1, 4), Occupancy(0, "shared memory")),
    "too much for sm_80": ("sm_80", Usage(64, 192 * KIB, 8), Occupancy(0, "shared memory")),
    # 78 → 80 registers; 512 // 80 = 6 waves a SIMD, 24 in all.
    "waves of gfx942": ("gfx942", Usage(78, 0, 8), Occupancy(3, "registers")),
    "eight waves a SIMD": ("gfx942", Usage(64, 0, 4), Occupancy(8, "registers")),
    "no shared memory": ("gfx942", Usage(16, 0, 1), Occupancy(32, "warps")),
    "barriers": ("gfx942", Usage(16, 0, 2), Occupancy(16, "warps")),
    "all of LDS": ("gfx942", Usage(78, 64 * KIB, 8), Occupancy(1, "shared memory")),
    "more than LDS": ("gfx942", Usage(78, 64 * KIB + 1, 8), Occupancy(0, "shared memory")),
    "accumulators": ("gfx942", Usage(510, 32 * KIB, 4), Occupancy(1, "registers")),
}


@pytest.mark.parametrize("case", CASES)
def test_occupancy(case: str) -> None:
    target, usage, expected = CASES[case]
    assert occupancy(usage, TARGETS[target]) == expected
