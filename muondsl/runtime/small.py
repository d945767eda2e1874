"""A whole quintic iteration of small matrices in one launch: a program a matrix, all steps on chip.

x ← a x + (b s + c s s) x with s = x xᵀ, for x of few rows: at most 128 in 16 bits, 32 in fp32. In: the matrices'
addresses and the coefficients of the steps. Out: launches, one for each bucket of shapes. Sums are in fp32; s,
b s + c s s and x are rounded to the operands' dtype, as they are where each is a matrix in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from muondsl.runtime.launch import Launch
from muondsl.runtime.products import ALIGNMENT, INTERPRETS, SINGLE_PRECISION, Operand, triton_dtype
from muondsl.runtime.small_kernel import small_kernel
from muondsl.runtime.tiles import SmallBlock, longest_small, small_block


@dataclass(frozen=True, slots=True)
class SmallMatrix:
    """x of short × long elements is divided by d, iterated and stored in `out`, which may be x.

    `divisor` is the address of d, an fp32 scalar on the device, or 0.
    """

    x: Operand
    out: Operand
    short: int
    long: int
    divisor: int = 0

    def table_row(self) -> list[int]:
        x, out = self.x, self.out
        return [x.address, x.leading, out.address, out.leading, self.short, self.long, self.divisor]


def small_launches(
    matrices: Sequence[SmallMatrix],
    coefficients: Sequence[tuple[float, float, float]],
    *,
    dtype: torch.dtype,
    architecture: str,
    device: torch.device,
    title: str = "",
) -> tuple[Launch, ...]:
    """A launch for each bucket of shapes that occurs. A matrix' bucket is decided by its own shape.

    Addresses are multiples of 16 bytes and leading dimensions of 16 elements, and a row's elements up to the next
    multiple of 16 may be read and written. Raises ValueError for other matrices, and for longer short sides than
    `longest_small` says.
    """
    name = str(dtype).removeprefix("torch.")
    for matrix in matrices:
        _check_small(matrix, longest_small(name))
    buckets: dict[tuple[int, SmallBlock, bool], list[SmallMatrix]] = {}
    for matrix in matrices:
        block_short = max(16, 1 << (matrix.short - 1).bit_length())
        block = small_block(architecture, name, block_short)
        buckets.setdefault((block_short, block, matrix.long <= block.long), []).append(matrix)
    table = torch.tensor(coefficients, dtype=torch.float32, device=device)
    return tuple(
        Launch(
            kernel=small_kernel,
            grid=len(bucket),
            arguments=(
                torch.tensor([matrix.table_row() for matrix in bucket], dtype=torch.int64, device=device),
                table,
            ),
            constants={
                "OPERAND": triton_dtype(dtype),
                "N_STEPS": len(coefficients),
                "IS_WHOLE": is_whole,
                "UPCASTS": INTERPRETS,
                "PRECISION": SINGLE_PRECISION,
                "BLOCK_SHORT": block_short,
                "BLOCK_LONG": block.long,
            },
            warps=block.warps,
            stages=block.stages,
            title=title,
            matrices=len(bucket),
        )
        for (block_short, block, is_whole), bucket in sorted(buckets.items(), key=_by_size)
    )


def _by_size(item: tuple[tuple[int, SmallBlock, bool], list[SmallMatrix]]) -> tuple[int, bool]:
    (block_short, _, is_whole), _ = item
    return -block_short, is_whole


def _check_small(matrix: SmallMatrix, longest: int) -> None:
    if not 1 <= matrix.short <= longest or matrix.long < matrix.short:
        raise ValueError(f"a matrix of {matrix.short} × {matrix.long} is not iterated in one launch")
    for operand in (matrix.x, matrix.out):
        if operand.address % ALIGNMENT or operand.leading % ALIGNMENT:
            raise ValueError(f"an operand's address or leading dimension is not a multiple of {ALIGNMENT}")
