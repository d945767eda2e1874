"""What is read from binaries of kernels whose instructions are known."""

from __future__ import annotations

import re
from functools import cache

import pytest

from muondsl.aot.compile_launch import compile_launch
from muondsl.aot.inspect_launches import inspect_launches
from muondsl.aot.inspection import Inspection
from muondsl.aot.occupancy import Usage, occupancy
from muondsl.aot.targets import KIB, TARGETS
from muondsl.runtime.launch import Launch
from tests.aot.kernels import copy_launch, product_launch, tl

NVIDIA = ("sm_80", "sm_90", "sm_100")
FORMATS = {"fp32": tl.float32, "bf16": tl.bfloat16}


def inspected(launch: Launch, target: str) -> Inspection:
    (one,) = inspect_launches([launch], [TARGETS[target]])
    return one


@cache
def product(target: str, *, uses_descriptors: bool = False) -> Inspection:
    return inspected(product_launch(128, 128, 64, warps=8, stages=3, uses_descriptors=uses_descriptors), target)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("precision", FORMATS)
def test_an_aligned_copy_moves_16_bytes_at_a_time(target: str, precision: str) -> None:
    one = inspected(copy_launch(FORMATS[precision], is_aligned=True), target)
    assert (one.load_width, one.store_width) == (16, 16)
    assert set(one.loads.counts["tile"]) == set(one.stores.counts["tile"]) == {16}
    # The four numbers of the table, which LLVM loads at once for AMD.
    assert one.loads.counts["scalar"] == ({32: 1} if target == "gfx942" else {8: 4})
    assert "vector" in one.loads.counts
    assert "other" not in one.loads.counts
    assert (one.spills, one.matrix_instructions, one.copies) == (0, {}, {})


@pytest.mark.parametrize("target", TARGETS)
def test_a_copy_of_unknown_alignment_moves_one_element_at_a_time(target: str) -> None:
    one = inspected(copy_launch(tl.bfloat16, is_aligned=False), target)
    assert (one.load_width, one.store_width) == (2, 2)
    assert set(one.loads.counts["tile"]) == {2}


@pytest.mark.parametrize(
    ("target", "instruction"), {"sm_80": "HMMA", "sm_90": "HGMMA", "sm_100": "UTCHMMA", "gfx942": "MFMA"}.items()
)
def test_a_product_uses_the_matrix_unit(target: str, instruction: str) -> None:
    one = product(target)
    assert list(one.matrix_instructions) == [instruction]
    assert one.matrix_instructions[instruction] > 0
    assert one.spills == one.scalar_spills == 0
    assert one.occupancy.blocks > 0
    assert one.load_width == 16


@pytest.mark.parametrize("target", NVIDIA)
def test_pointers_are_copied_asynchronously(target: str) -> None:
    assert list(product(target).copies) == ["LDGSTS"]


@pytest.mark.parametrize("target", ["sm_90", "sm_100"])
def test_descriptors_become_tensor_memory_copies(target: str) -> None:
    one = product(target, uses_descriptors=True)
    assert list(one.copies) == ["UTMALDG", "UTMASTG"]
    assert one.load_width is one.store_width is None
    assert one.occupancy.blocks == 2


def test_descriptors_take_90_registers_on_hopper() -> None:
    one = product("sm_90", uses_descriptors=True)
    assert one.registers <= 96
    assert one.shared in range(96 * KIB, 97 * KIB)


@pytest.mark.parametrize("target", ["sm_80", "gfx942"])
def test_descriptors_become_plain_copies_elsewhere(target: str) -> None:
    assert "UTMALDG" not in product(target, uses_descriptors=True).copies
    assert product(target, uses_descriptors=True).load_width == 16


def test_tensor_memory_bounds_large_tiles_of_blackwell() -> None:
    one = inspected(product_launch(128, 256, 32, warps=8, stages=2), "sm_100")
    assert one.tensor_memory == 256


SPILLING = {
    "sm_80": product_launch(128, 256, 64, warps=4, stages=3),
    "sm_90": product_launch(256, 256, 32, warps=4, stages=2),
    "sm_100": product_launch(256, 256, 32, warps=4, stages=2),
    "gfx942": product_launch(512, 256, 16, warps=4, stages=1),
}


@pytest.mark.parametrize("target", TARGETS)
def test_a_tile_that_is_too_large_for_its_warps_spills(target: str) -> None:
    one = inspected(SPILLING[target], target)
    assert one.spills > 0
    assert one.registers >= TARGETS[target].max_registers - 2
    assert one.spills % 4 == 0


def test_the_waves_of_gfx942_are_those_that_llvm_counts() -> None:
    """LLVM writes the waves a SIMD that the registers allow above its metadata."""
    for launch in (copy_launch(tl.float32, is_aligned=True), product_launch(128, 128, 64, warps=8, stages=3)):
        one = inspected(launch, "gfx942")
        text = compile_launch(launch, TARGETS["gfx942"]).texts["amdgcn"]
        waves = int(re.findall(r"; Occupancy: (\d+)", text)[0])
        assert occupancy(Usage(one.registers, 0, 4), TARGETS["gfx942"]).blocks == waves
