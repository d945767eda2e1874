"""Products in Triton's interpreter beside torch's in float64: `python -m tests.triton.interpret_products PATH`."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from triton.runtime.interpreter import InterpreterBuilder

from muondsl.runtime.products import Problem, product_launch
from muondsl.runtime.tiles import Tile
from tests.triton.matrices import Placed, normal

CPU = torch.device("cpu")
SPLIT = Tile(32, 32, 16, warps=4, stages=2, splits_diagonal=True)
UNSPLIT = replace(SPLIT, splits_diagonal=False)
DESCRIPTORS = replace(UNSPLIT, uses_descriptors=True, registers=96)
SPLIT_DESCRIPTORS = replace(SPLIT, uses_descriptors=True)
OBLONG = Tile(32, 16, 32, warps=4, stages=2)
SIZES = [(17, 33, 65), (129, 65, 40), (1, 50, 7), (50, 1, 32), (1, 1, 1), (32, 32, 16), (31, 70, 15)]
SIDES = [(17, 33), (65, 40), (1, 40), (50, 1), (32, 32), (80, 15), (97, 17)]


@dataclass(frozen=True)
class Case:
    """Problems of one launch. `sizes` are (m, n, k); coefficients, divisor and divisions hold for all of them."""

    sizes: Sequence[tuple[int, int, int]]
    tile: Tile = UNSPLIT
    dtype: torch.dtype = torch.float32
    is_symmetric: bool = False
    transposed: tuple[bool, bool] = (False, False)
    is_aligned: bool = True
    has_addend: bool = False
    in_place: bool = False
    alpha: float = 1.0
    beta: float = 0.0
    gamma: float = 0.0
    divisor: float | None = None
    divisions: tuple[int, int] = (0, 0)
    runs_alone: bool = False
    is_commuting: bool = False
    """left is a symmetric matrix and right its square, so that their product is symmetric but for roundings."""
    is_overflowed: bool = False
    """Terms whose coefficient is 0 are infinite."""


def symmetric(*sides: tuple[int, int], **options: Any) -> Case:
    return Case([(side, side, k) for side, k in sides], is_symmetric=True, transposed=(False, True), **options)


EPILOGUE: dict[str, Any] = {
    "alpha": 0.5,
    "beta": -3.25,
    "gamma": 1.5,
    "divisor": 1.75,
    "divisions": (2, 1),
    "has_addend": True,
}
INFINITE: dict[str, Any] = {"divisor": float("inf"), "has_addend": True, "beta": 2.0, "is_overflowed": True}
CASES: dict[str, Case] = {
    "plain": Case(SIZES, runs_alone=True, **EPILOGUE),
    "plain, descriptors": Case(SIZES, DESCRIPTORS, runs_alone=True, **EPILOGUE),
    "plain, unaligned": Case(SIZES, is_aligned=False, **EPILOGUE),
    "plain, oblong tile": Case(SIZES, OBLONG, **EPILOGUE),
    "plain, in place": Case(SIZES[:3], in_place=True, **EPILOGUE),
    "plain, left transposed": Case(SIZES[:3], transposed=(True, False)),
    "plain, right transposed": Case(SIZES[:3], transposed=(False, True)),
    "plain, both transposed": Case(SIZES[:3], transposed=(True, True)),
    "plain, both transposed, descriptors": Case(SIZES[:3], DESCRIPTORS, transposed=(True, True)),
    "plain, both transposed, unaligned": Case(SIZES[:3], transposed=(True, True), is_aligned=False),
    "symmetric": symmetric(*SIDES, **EPILOGUE),
    "symmetric, split": symmetric(*SIDES, tile=SPLIT, runs_alone=True, **EPILOGUE),
    "symmetric, descriptors": symmetric(*SIDES[:4], tile=DESCRIPTORS, **EPILOGUE),
    "symmetric, split, descriptors": symmetric(*SIDES, tile=SPLIT_DESCRIPTORS, runs_alone=True, **EPILOGUE),
    "symmetric, split, unaligned": symmetric(*SIDES, tile=SPLIT, is_aligned=False, **EPILOGUE),
    "symmetric, split, in place": symmetric(*SIDES[:4], tile=SPLIT, in_place=True, **EPILOGUE),
    "plain, fp16": Case(SIZES[:3], dtype=torch.float16, **EPILOGUE),
    "plain, bf16": Case(SIZES[:3], dtype=torch.bfloat16, **EPILOGUE),
    "symmetric, split, fp16": symmetric(*SIDES[:4], tile=SPLIT, dtype=torch.float16, **EPILOGUE),
    "symmetric, split, bf16": symmetric(*SIDES[:4], tile=SPLIT, dtype=torch.bfloat16, **EPILOGUE),
    "symmetric, of two matrices": symmetric((50, 50), (33, 33), is_commuting=True),
    "symmetric, split, of two matrices": symmetric((50, 50), (33, 33), tile=SPLIT, is_commuting=True),
    "divided once": Case(SIZES[:1], divisor=1.75, divisions=(1, 2), has_addend=True, beta=1.0),
    "divided by infinity": Case(SIZES[:1], divisions=(2, 0), **INFINITE),
    "all divided by infinity": Case(SIZES[:1], divisions=(2, 1), **INFINITE),
    "alpha and beta 0": Case(SIZES[:1], alpha=0.0, gamma=2.0, has_addend=True, is_overflowed=True),
}


@contextmanager
def recorded_accesses() -> Iterator[tuple[Counter[int], set[int]]]:
    """How often each address is stored to, and those that tiles are loaded from. Descriptors use the same functions."""
    stored: Counter[int] = Counter()
    loaded: set[int] = set()
    store, load = InterpreterBuilder.create_masked_store, InterpreterBuilder.create_masked_load

    def touched(ptrs: Any, mask: Any) -> list[int]:
        addresses: list[int] = np.broadcast_to(ptrs.data, mask.data.shape)[mask.data.astype(bool)].ravel().tolist()
        return addresses

    def recording_store(self: Any, ptrs: Any, value: Any, mask: Any, *rest: Any, **named: Any) -> Any:
        stored.update(touched(ptrs, mask))
        return store(self, ptrs, value, mask, *rest, **named)

    def recording_load(self: Any, ptrs: Any, mask: Any, *rest: Any, **named: Any) -> Any:
        if np.ndim(ptrs.data) == 2:
            loaded.update(touched(ptrs, mask))
        return load(self, ptrs, mask, *rest, **named)

    InterpreterBuilder.create_masked_store = recording_store
    InterpreterBuilder.create_masked_load = recording_load
    try:
        yield stored, loaded
    finally:
        InterpreterBuilder.create_masked_store, InterpreterBuilder.create_masked_load = store, load


@dataclass
class Prepared:
    """A problem with the memory it lives in, and what it comes to."""

    problem: Problem
    out: Placed
    inputs: tuple[Placed, ...]
    divisor: Tensor
    expected: Tensor


def prepare(case: Case, m: int, n: int, k: int, seed: int) -> Prepared:
    left, right, addend = matrices(case, m, n, k, seed)
    divisor = torch.tensor([1.0 if case.divisor is None else case.divisor], dtype=torch.float32)
    d = divisor.to(torch.float64)
    scales = case.alpha / d ** case.divisions[0], case.beta * case.has_addend / d ** case.divisions[1]
    expected = scales[0] * (left @ right) + scales[1] * addend + case.gamma * torch.eye(m, n)
    if case.is_overflowed:
        left, addend = (
            matrix if scale else torch.full_like(matrix, float("inf"))
            for matrix, scale in zip((left, addend), scales, strict=True)
        )
    place = partial(Placed, dtype=case.dtype, is_aligned=case.is_aligned)
    left_placed = place(left.mT if case.transposed[0] else left)
    is_gram = case.is_symmetric and not case.is_commuting
    right_placed = left_placed if is_gram else place(right.mT if case.transposed[1] else right)
    addend_placed = place(addend)
    out = addend_placed if case.in_place else place(torch.full((m, n), float("nan")))
    problem = Problem(
        left_placed.operand,
        right_placed.operand,
        out.operand,
        m,
        n,
        k,
        addend=addend_placed.operand if case.has_addend else None,
        alpha=case.alpha,
        beta=case.beta,
        gamma=case.gamma,
        divisor=0 if case.divisor is None else divisor.data_ptr(),
        divisions=case.divisions,
    )
    return Prepared(problem, out, (left_placed, right_placed, addend_placed), divisor, expected)


def matrices(case: Case, m: int, n: int, k: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """left, right and addend."""
    left, right, addend = (
        normal(*size, seed + index, case.dtype) for index, size in enumerate([(m, k), (k, n), (m, n)])
    )
    if case.is_symmetric:
        if case.is_commuting:
            left = torch.tril(left) + torch.tril(left, -1).mT
        right = (left @ left).to(case.dtype).to(torch.float64) if case.is_commuting else left.mT
        addend = torch.tril(addend) + torch.tril(addend, -1).mT
    return left, right, addend


def launch(case: Case, prepared: Sequence[Prepared]) -> None:
    product_launch(
        [one.problem for one in prepared],
        dtype=case.dtype,
        tile=case.tile,
        device=CPU,
        is_symmetric=case.is_symmetric,
        transposed=case.transposed,
        is_aligned=case.is_aligned,
    ).run()


def run(case: Case) -> dict[str, Any]:
    prepared = [prepare(case, *size, seed=10 * index) for index, size in enumerate(case.sizes)]
    with recorded_accesses() as (stored, loaded):
        launch(case, prepared)
    alone = [prepare(case, *size, seed=10 * index) for index, size in enumerate(case.sizes)]
    for one in alone if case.runs_alone else ():
        launch(case, [one])
    return {
        "out": [one.out.tensor.clone() for one in prepared],
        "alone": [one.out.tensor.clone() for one in alone] if case.runs_alone else None,
        "expected": [one.expected for one in prepared],
        "touched outside": [bool((~one.out.outside().isnan()).any()) for one in prepared],
        "stores": [{stored[address] for address in one.out.addresses()} for one in prepared],
        "loaded outside": len(loaded.difference(*(placed.readable() for one in prepared for placed in one.inputs))),
    }


if __name__ == "__main__":
    torch.save({name: run(case) for name, case in CASES.items()}, sys.argv[1])
