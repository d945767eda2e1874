"""Which launches of a class are compiled: every route and dtype, made anew for each target's architecture."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from muondsl.aot.errors import AheadOfTimeError
from muondsl.aot.inspect_class import SHAPES, inspect_class
from muondsl.aot.targets import TARGETS
from muondsl.runtime import step_plan
from muondsl.runtime.launch import Launch
from tests.aot.kernels import copy_launch, product_launch, tl

FORMATS = {torch.float32: tl.float32, torch.bfloat16: tl.bfloat16}


def subject(**routes: Any) -> Any:
    return SimpleNamespace(__name__="Demo", launches=routes)


def test_launches_are_made_for_each_route_dtype_and_architecture(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def launches_of(
        optimizer_class: Any,
        route: str,
        shapes: Sequence[tuple[int, ...]],
        dtype: torch.dtype = torch.float32,
        architecture: str = "sm_90",
    ) -> list[Launch]:
        assert shapes == SHAPES[route]
        asked.append((route, dtype, architecture))
        uses_descriptors = architecture == "sm_90"
        product = product_launch(64, 64, 64, warps=4, stages=3, uses_descriptors=uses_descriptors)
        return [copy_launch(FORMATS[dtype], is_aligned=True), product]

    monkeypatch.setattr(step_plan, "launches_of", launches_of)
    targets = [TARGETS["sm_80"], TARGETS["sm_90"]]
    inspections = inspect_class(subject(matrix=None, otherwise=None), targets)
    assert asked == [
        (route, dtype, target)
        for dtype in (torch.float32, torch.bfloat16)
        for route in ("matrix", "otherwise")
        for target in ("sm_80", "sm_90")
    ]
    found = [(one.spec, one.kernel, one.variant.split()[0], one.target) for one in inspections]
    assert found == [
        ("Demo", "copy_kernel", "DTYPE=bf16", "sm_80"),
        ("Demo", "copy_kernel", "DTYPE=bf16", "sm_90"),
        ("Demo", "copy_kernel", "DTYPE=fp32", "sm_80"),
        ("Demo", "copy_kernel", "DTYPE=fp32", "sm_90"),
        ("Demo", "product_kernel", "BLOCK_M=64", "sm_80"),
        ("Demo", "descriptor_kernel", "BLOCK_M=64", "sm_90"),
    ]


def test_a_class_without_kernels_says_so() -> None:
    with pytest.raises(AheadOfTimeError, match=r"^Demo has no Triton kernels"):
        inspect_class(subject(), TARGETS.values())
