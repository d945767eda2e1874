"""Every kernel of every generated class on every target, by `make test-aot`; one target of one class in every run."""

from __future__ import annotations

from functools import cache

import pytest

from muondsl.aot.inspect_class import inspect_class
from muondsl.aot.inspection import Inspection
from muondsl.aot.targets import TARGETS
from tests.runtime.subjects import CLASSES, Optimizer

NEWEST = {"sm_80": "HMMA", "sm_90": "HGMMA", "sm_100": "UTCHMMA", "gfx942": "MFMA"}
FAST = ("Moonlight", "sm_90")

CASES = [
    pytest.param(kind, target, marks=() if (kind.__name__, target) == FAST else pytest.mark.aot)
    for kind in CLASSES
    if kind.launches
    for target in TARGETS
]
every_case = pytest.mark.parametrize(("kind", "target"), CASES)


@cache
def inspections(kind: Optimizer, target: str) -> list[Inspection]:
    return inspect_class(kind, [TARGETS[target]])


def described(one: Inspection) -> str:
    return f"{one.kernel} {one.variant}"


def products(kind: Optimizer, target: str) -> list[Inspection]:
    return [one for one in inspections(kind, target) if one.kernel == "product_kernel"]


SPILLS = {
    ("aurora_first_kernel", "sm_90"): 8,
    ("nanochat_latest_update_2_kernel", "sm_90"): 8,
    ("normuon_second_momentum_buffer_kernel", "sm_100"): 8,
    ("product_kernel", "sm_90"): 24,
}
"""The bytes a thread that some kernels are known to spill at most; of products those in fp32, which have no unit."""


@every_case
def test_no_kernel_spills_but_those_that_are_known_to(kind: Optimizer, target: str) -> None:
    spilling = [one for one in inspections(kind, target) if one.spills > SPILLS.get((one.kernel, target), 0)]
    assert not [(described(one), one.spills) for one in spilling]
    assert not [described(one) for one in inspections(kind, target) if one.spills and "OPERAND=bf16" in one.variant]


@every_case
def test_every_kernel_fits_a_multiprocessor(kind: Optimizer, target: str) -> None:
    assert not [described(one) for one in inspections(kind, target) if not one.occupancy.blocks]


@every_case
def test_16_bit_products_use_the_newest_matrix_unit(kind: Optimizer, target: str) -> None:
    narrow = [one for one in products(kind, target) if "OPERAND=fp32" not in one.variant]
    assert all(NEWEST[target] in one.matrix_instructions for one in narrow)


@every_case
def test_elementwise_kernels_move_16_bytes_where_sizes_allow(kind: Optimizer, target: str) -> None:
    own = [one for one in inspections(kind, target) if one.kernel not in ("product_kernel", "small_kernel")]
    aligned = [one for one in own if "IS_ALIGNED" in one.variant]
    assert aligned
    for one in aligned:
        counts = (one.loads.counts, one.stores.counts)
        if any("tile" in each for each in counts):
            assert all(set(each.get("tile", {16: 1})) == {16} for each in counts), described(one)
        else:
            # Parts of a reduction are vectors as well, and lie apart from each other.
            assert all(16 in each.get("vector", {16: 1}) for each in counts), described(one)


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=() if kind.__name__ == FAST[0] else pytest.mark.aot)
        for kind in CLASSES
        if kind.launches
    ],
)
def test_products_of_hopper_share_a_multiprocessor_and_copy_by_descriptors(kind: Optimizer) -> None:
    found = [one for one in products(kind, "sm_90") if "OPERAND=bf16" in one.variant]
    for one in found:
        assert one.registers <= 96, described(one)
        assert one.occupancy.blocks >= 2, described(one)
        assert {"UTMALDG", "UTMASTG"} <= set(one.copies), described(one)
