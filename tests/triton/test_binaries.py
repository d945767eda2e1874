"""What the binaries of products and of small iterations hold on every target, compiled ahead of time."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from muondsl.aot.inspect_launches import inspect_launches
from muondsl.aot.inspection import Inspection
from muondsl.aot.targets import TARGETS
from muondsl.runtime.choose_tile import product_tile
from muondsl.runtime.launch import Launch
from muondsl.runtime.products import Operand, Problem, product_launch
from muondsl.runtime.small import SmallMatrix, small_launches
from muondsl.runtime.tiles import ARCHITECTURES, longest_small

pytest.importorskip("triton")

CPU = torch.device("cpu")
X, OUT = Operand(1 << 32, 1024), Operand(1 << 33, 1024)
# The start of the names of the newest instructions that multiply 16-bit matrices.
NEWEST = {"sm_80": "HMMA", "sm_90": "HGMMA", "sm_100": "UTCHMMA", "gfx942": "MFMA"}
DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}


def product(architecture: str, dtype: str, is_symmetric: bool, side: int, transposed: tuple[bool, bool]) -> Launch:
    tile = product_tile(architecture, dtype, is_symmetric=is_symmetric, side=side)
    return product_launch(
        [Problem(X, X, OUT, side, side, side)],
        dtype=DTYPES[dtype],
        tile=tile,
        device=CPU,
        is_symmetric=is_symmetric,
        transposed=transposed,
    )


def inspect(launch: Launch, architecture: str) -> Inspection:
    (inspection,) = inspect_launches([launch], [TARGETS[architecture]])
    return inspection


def multiplies_with(inspection: Inspection, start: str) -> bool:
    return any(name.startswith(start) for name in inspection.matrix_instructions)


def check_product(inspection: Inspection, architecture: str) -> None:
    assert inspection.spills == 0
    assert inspection.occupancy.blocks >= 2 or (architecture == "sm_80" and "IS_SYMMETRIC" not in inspection.variant)
    assert multiplies_with(inspection, NEWEST[architecture]), inspection.matrix_instructions
    if architecture == "sm_90":
        assert inspection.registers <= 96
        assert 2 * (inspection.shared + 1024) <= 228 * 1024
    if architecture in ("sm_90", "sm_100"):
        assert any(name.startswith("UTMALDG") for name in inspection.copies)
        assert any(name.startswith("UTMASTG") for name in inspection.copies)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_symmetric_product_has_no_spills_and_the_newest_instruction(architecture: str) -> None:
    check_product(inspect(product(architecture, "bfloat16", True, 768, (False, True)), architecture), architecture)


def test_plain_product_leaves_room_for_two_blocks_on_sm_90() -> None:
    check_product(inspect(product("sm_90", "bfloat16", False, 768, (False, False)), "sm_90"), "sm_90")


@pytest.mark.aot
@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("side", [256, 768])
@pytest.mark.parametrize(
    ("is_symmetric", "transposed"),
    [(True, (False, True)), (False, (False, False)), (False, (False, True))],
    ids=["symmetric", "plain", "plain, right transposed"],
)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_product_of_16_bits(
    architecture: str, is_symmetric: bool, transposed: tuple[bool, bool], side: int, dtype: str
) -> None:
    check_product(inspect(product(architecture, dtype, is_symmetric, side, transposed), architecture), architecture)


@pytest.mark.aot
@pytest.mark.slow
@pytest.mark.parametrize("is_symmetric", [True, False])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_product_of_fp32_has_no_spills(architecture: str, is_symmetric: bool) -> None:
    launch = product(architecture, "float32", is_symmetric, 768, (False, is_symmetric))
    assert inspect(launch, architecture).spills == 0


@pytest.mark.aot
@pytest.mark.slow
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_small_iteration_has_no_spills(architecture: str, dtype: str) -> None:
    shapes: Sequence[tuple[int, int]] = [
        (short, long) for short in (16, 32, 64, 128) for long in (short, 4096) if short <= longest_small(dtype)
    ]
    launches = small_launches(
        [SmallMatrix(X, OUT, *shape) for shape in shapes],
        ((3.4445, -4.7750, 2.0315),) * 5,
        dtype=DTYPES[dtype],
        architecture=architecture,
        device=CPU,
    )
    for launch in launches:
        assert inspect(launch, architecture).spills == 0, launch.constants
