"""The Triton kernel that iterates a small matrix from its first step to its last.

`matrices_ptr`, int64, a row of 7 a matrix: address and leading dimension of x and of out; short, long; address of the
divisor d, or 0. `coefficients_ptr`, fp32, a row of 3 a step: a, b, c.
"""

from __future__ import annotations

from muondsl.runtime.product_kernel import padded_width
from muondsl.runtime.triton_language import jit, tl


@jit
def dot(left, right, total, UPCASTS: tl.constexpr, PRECISION: tl.constexpr):
    """total + left @ right in fp32. Triton's interpreter needs UPCASTS: it cannot multiply bf16."""
    if UPCASTS:
        left = left.to(tl.float32)
        right = right.to(tl.float32)
    return tl.dot(left, right, total, input_precision=PRECISION)


@jit
def polynomial(total, scale, b, c, OPERAND: tl.constexpr, UPCASTS: tl.constexpr, PRECISION: tl.constexpr):
    """p = b s + c s s, of s = scale² · total."""
    s = (total * (scale * scale)).to(OPERAND)
    square = dot(s, s, tl.zeros_like(total), UPCASTS, PRECISION)
    return (b * s.to(tl.float32) + c * square).to(OPERAND)


@jit
def advance(x, p, scale, a, OPERAND: tl.constexpr, UPCASTS: tl.constexpr, PRECISION: tl.constexpr):
    """scale · (a x + p x)."""
    product = dot(p, x, tl.zeros(x.shape, dtype=tl.float32), UPCASTS, PRECISION)
    return ((a * x.to(tl.float32) + product) * scale).to(OPERAND)


@jit
def small_kernel(
    matrices_ptr,
    coefficients_ptr,
    OPERAND: tl.constexpr,
    N_STEPS: tl.constexpr,
    IS_WHOLE: tl.constexpr,
    UPCASTS: tl.constexpr,
    PRECISION: tl.constexpr,
    BLOCK_SHORT: tl.constexpr,
    BLOCK_LONG: tl.constexpr,
):
    """x ← a x + (b s + c s s) x, s = x xᵀ, for every row of coefficients, beginning with x/d.

    IS_WHOLE: x is one block, and stays on chip. Otherwise a step walks over the blocks of x twice: for s, and to
    advance them in `out`.
    """
    matrix_ptr = matrices_ptr + tl.program_id(0) * 7
    x_ptr = tl.multiple_of(tl.load(matrix_ptr).to(tl.pointer_type(OPERAND)), 16)
    x_leading = tl.multiple_of(tl.load(matrix_ptr + 1), 16)
    out_ptr = tl.multiple_of(tl.load(matrix_ptr + 2).to(tl.pointer_type(OPERAND)), 16)
    out_leading = tl.multiple_of(tl.load(matrix_ptr + 3), 16)
    short = tl.load(matrix_ptr + 4).to(tl.int32)
    long = tl.load(matrix_ptr + 5).to(tl.int32)
    divisor_address = tl.load(matrix_ptr + 6)
    scale = 1.0
    if divisor_address != 0:
        scale = 1.0 / tl.load(divisor_address.to(tl.pointer_type(tl.float32)))
    rows = tl.arange(0, BLOCK_SHORT)[:, None]
    cols = tl.arange(0, BLOCK_LONG)[None, :]
    # Columns that are padding may hold anything. They are read with the others, taken for zeros, and stored as such.
    width = padded_width(long, True)
    x_ptrs = x_ptr + (rows * x_leading + cols)
    out_ptrs = out_ptr + (rows * out_leading + cols)
    total = tl.zeros((BLOCK_SHORT, BLOCK_SHORT), dtype=tl.float32)
    if IS_WHOLE:
        x = tl.load(x_ptrs, mask=(rows < short) & (cols < width), other=0.0)
        x = tl.where(cols < long, x, 0.0)
        for step in range(N_STEPS):
            step_ptr = coefficients_ptr + 3 * step
            gram = dot(x, tl.trans(x), total, UPCASTS, PRECISION)
            p = polynomial(gram, scale, tl.load(step_ptr + 1), tl.load(step_ptr + 2), OPERAND, UPCASTS, PRECISION)
            x = advance(x, p, scale, tl.load(step_ptr), OPERAND, UPCASTS, PRECISION)
            scale = 1.0
        tl.store(out_ptrs, x, mask=(rows < short) & (cols < width))
    else:
        for step in range(N_STEPS):
            step_ptr = coefficients_ptr + 3 * step
            gram = total
            for col in range(0, long, BLOCK_LONG):
                x = tl.load(x_ptrs + col, mask=(rows < short) & (cols < width - col), other=0.0)
                x = tl.where(cols < long - col, x, 0.0)
                gram = dot(x, tl.trans(x), gram, UPCASTS, PRECISION)
            p = polynomial(gram, scale, tl.load(step_ptr + 1), tl.load(step_ptr + 2), OPERAND, UPCASTS, PRECISION)
            a = tl.load(step_ptr)
            # What one thread stores others have read before, and read after.
            tl.debug_barrier()
            for col in range(0, long, BLOCK_LONG):
                exists = (rows < short) & (cols < width - col)
                x = tl.where(cols < long - col, tl.load(x_ptrs + col, mask=exists, other=0.0), 0.0)
                tl.store(out_ptrs + col, advance(x, p, scale, a, OPERAND, UPCASTS, PRECISION), mask=exists)
            tl.debug_barrier()
            x_ptrs = out_ptrs
            scale = 1.0
