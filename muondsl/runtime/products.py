"""Launches of matrix products over any set of problems, and what such a launch executes and moves.

In: problems, each with the addresses and sizes of its matrices. Out: a `Launch` with its tables. Nothing is computed
here; the kernel is in `product_kernel.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from muondsl.runtime.launch import Launch
from muondsl.runtime.product_kernel import product_kernel
from muondsl.runtime.scratch import provide_scratch
from muondsl.runtime.tiles import Tile, tile_programs
from muondsl.runtime.triton_language import HAS_TRITON, tl

ALIGNMENT = 16
"""Of aligned operands: addresses in bytes, leading dimensions in elements."""

LONGEST_ROW = 2**23
"""Elements from one row to the next, so that offsets inside a tile of 128 rows can be counted in 32 bits."""

SINGLE_PRECISION = "ieee"
"""How fp32 operands are multiplied. "tf32" is several times faster and as exact as fp16 mantissas are."""

INTERPRETS = type(product_kernel).__name__ == "InterpretedFunction"
"""Whether kernels run in Triton's interpreter, which `TRITON_INTERPRET=1` asks for before import."""

if HAS_TRITON and not INTERPRETS:
    product_kernel.add_pre_run_hook(provide_scratch)


@dataclass(frozen=True, slots=True)
class Operand:
    """A row-major matrix: its address, and the elements from one row to the next."""

    address: int
    leading: int


@dataclass(frozen=True, slots=True)
class Problem:
    """out = alpha/d^p · (left @ right) + beta/d^q · addend + gamma · I, of m × n elements, over k.

    `divisor` is the address of d, an fp32 scalar on the device, or 0; `divisions` are p and q, each of 0, 1, 2. A term
    whose whole coefficient is 0 is left out, even where it would be infinite. `out` may be `addend`, and neither of the
    others.
    """

    left: Operand
    right: Operand
    out: Operand
    m: int
    n: int
    k: int
    addend: Operand | None = None
    alpha: float = 1.0
    beta: float = 0.0
    gamma: float = 0.0
    divisor: int = 0
    divisions: tuple[int, int] = (0, 0)

    @property
    def operands(self) -> tuple[Operand, ...]:
        return (self.left, self.right, self.out, *((self.addend,) if self.addend else ()))

    def table_row(self) -> list[int]:
        addend = self.addend or Operand(0, 0)
        matrices = (self.left, self.right, addend, self.out)
        return [
            *(matrix.address for matrix in matrices),
            *(matrix.leading for matrix in matrices),
            *(self.m, self.n, self.k, self.divisor, *self.divisions),
        ]


@dataclass(frozen=True, slots=True)
class Traffic:
    """Bytes of a launch: read by its tiles, stored, and those of its operands counted once."""

    loaded: int
    stored: int
    operands: int


def triton_dtype(dtype: torch.dtype) -> Any:
    """The dtype by its name in Triton's language."""
    return getattr(tl, str(dtype).removeprefix("torch."))


def product_launch(
    problems: Sequence[Problem],
    *,
    dtype: torch.dtype,
    tile: Tile,
    device: torch.device,
    is_symmetric: bool = False,
    transposed: tuple[bool, bool] = (False, False),
    is_aligned: bool = True,
    title: str = "",
) -> Launch:
    """One launch for all problems.

    `transposed` says that left or right is stored as its transpose: x xᵀ is left = right = x with (False, True). So is
    best a product of two symmetric matrices, whose columns are their rows. `is_symmetric` says that the result is, by
    the mathematics: its lower tiles are computed and mirrored, every element stored once, symmetric to the bit.

    `is_aligned`: addresses are multiples of 16 bytes and leading dimensions of 16 elements, and a row's elements up to
    the next multiple of 16 may be read and written. Raises ValueError for problems that the kernel would get wrong.

    Programs come longest first, which shortens the end of the launch, where a few programs are left; those of one
    problem stay together, because they share its operands in the cache.
    """
    if not is_aligned:
        tile = tile.with_pointers()
    for problem in problems:
        _check_problem(problem, is_symmetric, is_aligned)
    order = sorted(range(len(problems)), key=lambda index: -problems[index].k)
    programs = [
        (index, program.row, program.col, int(program.is_half))
        for index in order
        for program in tile_programs(problems[index].m, problems[index].n, tile, is_symmetric)
    ]
    return Launch(
        kernel=product_kernel,
        grid=len(programs),
        arguments=(
            torch.tensor([problem.table_row() for problem in problems], dtype=torch.int64, device=device),
            torch.tensor([(one.alpha, one.beta, one.gamma) for one in problems], dtype=torch.float32, device=device),
            torch.tensor(programs, dtype=torch.int32, device=device),
        ),
        constants={
            "OPERAND": triton_dtype(dtype),
            "IS_SYMMETRIC": is_symmetric,
            "TRANSPOSED_LEFT": transposed[0],
            "TRANSPOSED_RIGHT": transposed[1],
            "IS_ALIGNED": is_aligned,
            "USES_DESCRIPTORS": tile.uses_descriptors,
            "SPLITS_DIAGONAL": is_symmetric and tile.splits_diagonal,
            "UPCASTS": INTERPRETS,
            "PRECISION": SINGLE_PRECISION,
            "BLOCK_M": tile.block_m,
            "BLOCK_N": tile.block_n,
            "BLOCK_K": tile.block_k,
        },
        warps=tile.warps,
        stages=tile.stages,
        title=title,
        matrices=len(problems),
        options={} if tile.registers is None else {"maxnreg": tile.registers},
    )


def _check_problem(problem: Problem, is_symmetric: bool, is_aligned: bool) -> None:
    if min(problem.m, problem.n, problem.k) < 1:
        raise ValueError(f"a product of {problem.m} × {problem.n} over {problem.k} is empty")
    if is_symmetric and problem.m != problem.n:
        raise ValueError(f"a product of {problem.m} × {problem.n} is not symmetric")
    if problem.out.address in (problem.left.address, problem.right.address):
        raise ValueError("a product cannot overwrite what it multiplies")
    if is_aligned and any(one.address % ALIGNMENT or one.leading % ALIGNMENT for one in problem.operands):
        raise ValueError(f"an operand's address or leading dimension is not a multiple of {ALIGNMENT}")
    longest = max(one.leading for one in problem.operands)
    if longest > LONGEST_ROW:
        raise ValueError(f"an operand has rows of {longest} elements, of which a tile's offsets reach {LONGEST_ROW}")


def executed_flops(problems: Iterable[Problem], tile: Tile, *, is_symmetric: bool = False) -> int:
    """Two for each multiplication that the tiles carry out, those with padding included."""
    return sum(
        2 * (tile.block_m * tile.block_n // (4 if program.is_half else 1)) * -(-one.k // tile.block_k) * tile.block_k
        for one in problems
        for program in tile_programs(one.m, one.n, tile, is_symmetric)
    )


def product_traffic(problems: Iterable[Problem], tile: Tile, *, itemsize: int, is_symmetric: bool = False) -> Traffic:
    """What the tiles read and store, of elements that exist."""
    loaded = stored = operands = 0
    for one in problems:
        for program in tile_programs(one.m, one.n, tile, is_symmetric):
            halving = 2 if program.is_half else 1
            rows = min(tile.block_m // halving, one.m - program.row)
            cols = min(tile.block_n // halving, one.n - program.col)
            loaded += (rows + cols) * one.k + (rows * cols if one.addend else 0)
        stored += one.m * one.n
        operands += (
            one.m * one.k + (one.n * one.k if one.left != one.right else 0) + (one.m * one.n if one.addend else 0)
        )
    return Traffic(loaded * itemsize, stored * itemsize, operands * itemsize)
