"""Which inspections there are, and how they are printed."""

from __future__ import annotations

import json

import pytest

from muondsl.aot.inspect_launches import describe_constants, inspect_launches
from muondsl.aot.inspection import Inspection
from muondsl.aot.print_inspections import WIDTH, to_data, to_summary, to_table
from muondsl.aot.targets import TARGETS
from tests.aot.kernels import copy_launch, product_launch, tl

KEYS = {
    "spec": str,
    "kernel": str,
    "variant": str,
    "title": str,
    "target": str,
    "launches": int,
    "matrices": int,
    "warps": int,
    "stages": int,
    "registers": int,
    "spills": int,
    "scalar_spills": int,
    "shared": int,
    "tensor_memory": int,
    "occupancy": int,
    "bound": str,
    "matrix_instructions": dict,
    "copies": dict,
    "load_width": int | None,
    "store_width": int | None,
    "loads": dict,
    "stores": dict,
}


@pytest.fixture(scope="module")
def inspections() -> list[Inspection]:
    launches = [
        copy_launch(tl.float32, is_aligned=True, title="y ← x"),
        product_launch(128, 128, 64, warps=8, stages=3, uses_descriptors=True),
        copy_launch(tl.float32, is_aligned=True, title="y ← x again"),
    ]
    return inspect_launches(launches, [TARGETS["sm_90"], TARGETS["gfx942"]], "Demo")


def test_equal_kernels_are_inspected_once_and_counted(inspections: list[Inspection]) -> None:
    found = [(one.target, one.kernel, one.launches, one.matrices, one.title) for one in inspections]
    assert found == [
        ("sm_90", "copy_kernel", 2, 4, "y ← x"),
        ("sm_90", "descriptor_kernel", 1, 1, ""),
        ("gfx942", "copy_kernel", 2, 4, "y ← x"),
        ("gfx942", "descriptor_kernel", 1, 1, ""),
    ]


def test_data_survive_json_with_these_keys_and_types(inspections: list[Inspection]) -> None:
    rows = json.loads(json.dumps(to_data(inspections)))
    assert len(rows) == 4
    for row in rows:
        assert list(row) == list(KEYS)
        for key, kind in KEYS.items():
            assert isinstance(row[key], kind), key
    assert rows[0]["loads"] == {"tile": {"16": 8}, "vector": rows[0]["loads"]["vector"], "scalar": {"8": 4}}
    assert rows[1]["matrix_instructions"] == {"HGMMA": 4}


def test_the_table_has_a_row_a_target_below_each_kernel(inspections: list[Inspection]) -> None:
    lines = to_table(inspections).splitlines()
    assert lines[0].split()[:3] == ["target", "registers", "spills"]
    headings = [line for line in lines[1:] if line and not line.startswith(" ")]
    assert headings == [
        "Demo copy_kernel 2× DTYPE=fp32 IS_ALIGNED BLOCK=64 4 warps 2 stages",
        "Demo descriptor_kernel 1× BLOCK_M=128 BLOCK_N=128 BLOCK_K=64 8 warps 3 stages",
    ]
    rows = [line.split() for line in lines if line.startswith("  ")][1:]
    assert [row[0] for row in rows] == ["sm_90", "gfx942"] * 2
    assert max(map(len, lines)) <= WIDTH


def test_the_columns_of_the_table_are_aligned(inspections: list[Inspection]) -> None:
    lines = to_table(inspections).splitlines()
    end = lines[0].index("registers") + len("registers")
    assert all(line[end - 1].isdigit() and line[end] == " " for line in lines[1:] if line.startswith("  "))


def test_long_headings_are_wrapped(inspections: list[Inspection]) -> None:
    from dataclasses import replace

    words = " ".join(f"CONSTANT_{index}={index}" for index in range(20))
    lines = to_table([replace(inspections[0], variant=words)]).splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert all(f"CONSTANT_{index}={index}" in " ".join(lines) for index in range(20))


def test_the_summary_has_a_line_a_target(inspections: list[Inspection]) -> None:
    most = max(one.registers for one in inspections[:2])
    assert to_summary(inspections)[0] == f"Demo: 2 kernels for sm_90, at most {most} registers, no spills"


def test_the_summary_names_what_spills() -> None:
    (line,) = to_summary(inspect_launches([product_launch(128, 256, 64, warps=4, stages=3)], [TARGETS["sm_80"]]))
    assert "product_kernel spills" in line


def test_constants_are_described_by_name() -> None:
    constants = {"PARAMETER": tl.bfloat16, "IS_ALIGNED": True, "HAS_ADDEND": False, "one": 1, "none": None}
    assert describe_constants(constants) == "PARAMETER=bf16 IS_ALIGNED one=1"
