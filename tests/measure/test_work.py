"""FLOPs and bytes of operations, counted by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from muondsl.measure.record_calls import Recorder
from muondsl.measure.work import Work

FP32 = 4
N = 6 * 10
WIDE, OTHER, SQUARE = torch.ones(6, 10), torch.ones(6, 10), torch.ones(6, 6)
STACK = torch.ones(3, 6, 10)
ROW = torch.ones(6, 1)
HALF = torch.ones(6, 10, dtype=torch.bfloat16)

COUNTED: dict[str, tuple[Callable[[], Any], int, int]] = {
    "a product": (lambda: WIDE @ OTHER.mT, 2 * 6 * 10 * 6, (2 * N + 36) * FP32),
    "x by its own transpose, which is read once": (lambda: WIDE @ WIDE.mT, 2 * 6 * 10 * 6, (N + 36) * FP32),
    "a stack of products": (lambda: STACK @ STACK.mT, 3 * 2 * 6 * 10 * 6, 3 * (N + 36) * FP32),
    "an addend": (lambda: torch.addmm(OTHER, SQUARE, WIDE, beta=2), 2 * 6 * 6 * 10, (36 + 3 * N) * FP32),
    "an addend of a stack": (
        lambda: torch.baddbmm(STACK, STACK @ STACK.mT, STACK),
        3 * 2 * 6 * 10 * 6 * 2,
        3 * (N + 36) * FP32 + 3 * (36 + 2 * N) * FP32,
    ),
    "a result that is given": (lambda: torch.mm(SQUARE, WIDE, out=OTHER.clone()), 720, (4 * N + 36) * FP32),
    "a vector": (lambda: torch.mv(WIDE, torch.arange(10.0)), 2 * N, (N + 10 + 6) * FP32 + 10 * FP32),
    "lerp": (lambda: torch.lerp(WIDE, OTHER, 0.5), 0, 3 * N * FP32),
    "lerp in place": (lambda: WIDE.lerp_(OTHER, 0.0), 0, 3 * N * FP32),
    "one tensor twice": (lambda: WIDE * WIDE, 0, 2 * N * FP32),
    "rows that are repeated": (lambda: WIDE * ROW.expand(6, 10), 0, (2 * N + 6) * FP32),
    "another format": (lambda: HALF.to(torch.float32), 0, N * 2 + N * FP32),
    "a copy, which does not read its target": (lambda: OTHER.copy_(WIDE), 0, 2 * N * FP32),
    "copies of a list": (lambda: torch._foreach_copy_([OTHER, SQUARE], [WIDE, SQUARE]), 0, 2 * (N + 36) * FP32),
    "stacking": (lambda: torch.stack([WIDE, OTHER]), 0, 4 * N * FP32),
    "a view": (lambda: WIDE.mT[1:], 0, 0),
    "memory that nothing is written to": (lambda: torch.empty_like(WIDE), 0, 0),
}


def works(run: Callable[[], object]) -> list[Work]:
    with Recorder({}) as recorder:
        run()
    return [call.work for call in recorder.calls]


@pytest.mark.parametrize("name", COUNTED)
def test_flops_and_bytes(name: str) -> None:
    run, flops, moved = COUNTED[name]
    found = works(run)
    assert (sum(work.flops for work in found), sum(work.bytes for work in found)) == (flops, moved)


def test_products_have_the_format_of_their_factors() -> None:
    formats = {work.dtype for work in works(lambda: (HALF @ HALF.mT, WIDE + OTHER))}
    assert formats == {torch.bfloat16, None}


def test_no_peak_is_known_of_functions_of_whole_matrices() -> None:
    def run() -> Tensor:
        return torch.linalg.svd(SQUARE, full_matrices=False).U

    assert not all(work.has_peak for work in works(run))
    assert all(work.has_peak for work in works(lambda: torch.linalg.vector_norm(SQUARE)))
