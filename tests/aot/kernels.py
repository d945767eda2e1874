"""Kernels of which it is known what their binaries hold, and launches of them over tensors in main memory."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from muondsl.runtime.launch import Launch


@triton.jit
def copy_kernel(table_ptr, n_rows, n_cols, DTYPE: tl.constexpr, IS_ALIGNED: tl.constexpr, BLOCK: tl.constexpr):
    """Addresses and a leading dimension from a table, a factor for each row, one tile."""
    table = table_ptr + 4 * tl.program_id(0)
    source = tl.load(table).to(tl.pointer_type(DTYPE))
    result = tl.load(table + 1).to(tl.pointer_type(DTYPE))
    factors = tl.load(table + 2).to(tl.pointer_type(tl.float32))
    leading = tl.load(table + 3)
    if IS_ALIGNED:
        source = tl.multiple_of(source, 16)
        result = tl.multiple_of(result, 16)
        leading = tl.multiple_of(leading, 16)
        n_cols = tl.multiple_of(n_cols, 16)
    rows = tl.arange(0, BLOCK)
    cols = tl.arange(0, BLOCK)
    places = rows[:, None] * leading + cols[None, :]
    mask = (rows < n_rows)[:, None] & (cols < n_cols)[None, :]
    factor = tl.load(factors + rows, mask=rows < n_rows)
    values = tl.load(source + places, mask=mask)
    tl.store(result + places, (values * factor[:, None]).to(DTYPE), mask=mask)


@triton.jit
def product_kernel(
    left_ptr, right_ptr, out_ptr, m, n, k, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr
):
    """left @ right' without masks."""
    rows = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)
    cols = tl.program_id(1) * BLOCK_N + tl.arange(0, BLOCK_N)
    inner = tl.arange(0, BLOCK_K)
    total = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
    left = left_ptr + rows[:, None] * k + inner[None, :]
    right = right_ptr + cols[:, None] * k + inner[None, :]
    for _ in range(0, k, BLOCK_K):
        total = tl.dot(tl.load(left), tl.trans(tl.load(right)), total)
        left += BLOCK_K
        right += BLOCK_K
    tl.store(out_ptr + rows[:, None] * n + cols[None, :], total.to(out_ptr.dtype.element_ty))


@triton.jit
def descriptor_kernel(
    left_ptr, right_ptr, out_ptr, m, n, k, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr
):
    """left @ right' with descriptors that the kernel makes."""
    row = tl.program_id(0) * BLOCK_M
    col = tl.program_id(1) * BLOCK_N
    left = tl.make_tensor_descriptor(left_ptr, [m, k], [k, 1], [BLOCK_M, BLOCK_K])
    right = tl.make_tensor_descriptor(right_ptr, [n, k], [k, 1], [BLOCK_N, BLOCK_K])
    out = tl.make_tensor_descriptor(out_ptr, [m, n], [n, 1], [BLOCK_M, BLOCK_N])
    total = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
    for start in range(0, k, BLOCK_K):
        total = tl.dot(left.load([row, start]), tl.trans(right.load([col, start])), total)
    out.store([row, col], total.to(out_ptr.dtype.element_ty))


@triton.jit
def arguments_kernel(aligned_ptr, shifted_ptr, one, sixteen, seven, large, fraction, FLAG: tl.constexpr):
    """One argument of each kind that Triton specialises on."""
    if FLAG:
        tl.store(aligned_ptr, tl.load(shifted_ptr) * fraction + one + sixteen + seven + large)


@triton.jit
def refused_kernel(out_ptr, BLOCK: tl.constexpr):
    """Has a block that is no power of two."""
    tl.store(out_ptr + tl.arange(0, BLOCK), 0.0)


def copy_launch(dtype: tl.dtype, *, is_aligned: bool, title: str = "") -> Launch:
    table = torch.zeros(2, 4, dtype=torch.int64)
    constants = {"DTYPE": dtype, "IS_ALIGNED": is_aligned, "BLOCK": 64}
    return Launch(copy_kernel, 2, (table, 60, 64), constants, title=title, matrices=2)


def product_launch(
    block_m: int, block_n: int, block_k: int, *, warps: int, stages: int, uses_descriptors: bool = False
) -> Launch:
    matrix = torch.zeros(256, 256, dtype=torch.bfloat16)
    constants = {"BLOCK_M": block_m, "BLOCK_N": block_n, "BLOCK_K": block_k}
    kernel = descriptor_kernel if uses_descriptors else product_kernel
    return Launch(kernel, 4, (matrix, matrix, matrix, 256, 256, 256), constants, warps, stages, matrices=1)
