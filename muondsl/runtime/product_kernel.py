"""The Triton kernel of matrix products with an epilogue, for any set of problems in one launch.

In: tables that `products.py` builds. Out: the products, in the memory that the tables name. One program computes one
tile; what it computes depends on its own problem and on nothing else, to the last bit.

`problems_ptr`, int64, a row of 14 a problem: addresses of left, right, addend, out; their leading dimensions in the
same order; m, n, k; address of the divisor d; p, q. `coefficients_ptr`, fp32, rows of 3: alpha, beta, gamma.
`programs_ptr`, int32, rows of 4: problem, first row and column of the tile, whether it has half the sides of a block.
"""

from __future__ import annotations

from muondsl.runtime.triton_language import jit, tl


@jit
def matrix_of(problem_ptr, INDEX: tl.constexpr, OPERAND: tl.constexpr, IS_ALIGNED: tl.constexpr):
    """Pointer and leading dimension of a problem's matrix: left (0), right (1), addend (2) or out (3)."""
    matrix_ptr = tl.load(problem_ptr + INDEX).to(tl.pointer_type(OPERAND))
    leading = tl.load(problem_ptr + 4 + INDEX)
    if IS_ALIGNED:
        matrix_ptr = tl.multiple_of(matrix_ptr, 16)
        leading = tl.multiple_of(leading, 16)
    return matrix_ptr, leading


@jit
def padded_width(n_cols, IS_ALIGNED: tl.constexpr):
    """The elements of a row that may be touched: of aligned matrices up to the next multiple of 16."""
    if IS_ALIGNED:
        n_cols = (n_cols + 15) // 16 * 16
    return n_cols


@jit
def descriptor(matrix_ptr, leading, n_rows, n_cols, ROWS: tl.constexpr, COLS: tl.constexpr):
    """A matrix as the tensor memory accelerator sees it: zeros are read outside of it, and nothing is written there."""
    return tl.make_tensor_descriptor(matrix_ptr, [n_rows, n_cols], [leading, 1], [ROWS, COLS])


@jit
def clamped_pointers(
    matrix_ptr, leading, row, col, n_rows, n_cols, IS_ALIGNED: tl.constexpr, ROWS: tl.constexpr, COLS: tl.constexpr
):
    """Pointers to the tile at (row, col). Those to elements outside of the matrix point to others inside it instead, so
    that no load needs a mask and vectors stay whole.
    """
    rows = tl.minimum(tl.arange(0, ROWS), n_rows - 1 - row)
    cols = tl.arange(0, COLS) % (padded_width(n_cols, IS_ALIGNED) - col)
    corner_ptr = matrix_ptr + (row * leading + col)
    return corner_ptr + (rows[:, None] * leading.to(tl.int32) + cols[None, :])


@jit
def operand_source(
    operand,
    start,
    n,
    k,
    K_IS_CONTIGUOUS: tl.constexpr,
    IS_ALIGNED: tl.constexpr,
    USES_DESCRIPTORS: tl.constexpr,
    BLOCK: tl.constexpr,
    BLOCK_K: tl.constexpr,
):
    """What `operand_block` reads an n × k operand from: its descriptor, or pointers to the first block at `start`."""
    matrix_ptr, leading = operand
    if USES_DESCRIPTORS and K_IS_CONTIGUOUS:
        source = descriptor(matrix_ptr, leading, n, k, BLOCK, BLOCK_K)
    elif USES_DESCRIPTORS:
        source = descriptor(matrix_ptr, leading, k, n, BLOCK_K, BLOCK)
    elif K_IS_CONTIGUOUS:
        source = clamped_pointers(matrix_ptr, leading, start, 0, n, k, IS_ALIGNED, BLOCK, BLOCK_K)
    else:
        source = clamped_pointers(matrix_ptr, leading, 0, start, k, n, IS_ALIGNED, BLOCK_K, BLOCK)
    return source


@jit
def operand_block(source, leading, start, k_start, K_IS_CONTIGUOUS: tl.constexpr, USES_DESCRIPTORS: tl.constexpr):
    """The block of an operand at (start, k_start), its k in columns."""
    if USES_DESCRIPTORS and K_IS_CONTIGUOUS:
        block = source.load([start, k_start])
    elif USES_DESCRIPTORS:
        block = tl.trans(source.load([k_start, start]))
    elif K_IS_CONTIGUOUS:
        block = tl.load(source + k_start)
    else:
        block = tl.trans(tl.load(source + k_start * leading))
    return block


@jit
def operand_rest(
    operand,
    start,
    k_start,
    n,
    k,
    K_IS_CONTIGUOUS: tl.constexpr,
    IS_ALIGNED: tl.constexpr,
    BLOCK: tl.constexpr,
    BLOCK_K: tl.constexpr,
):
    """The last block of an operand read through pointers, with zeros beyond k."""
    matrix_ptr, leading = operand
    if K_IS_CONTIGUOUS:
        block = tl.load(clamped_pointers(matrix_ptr, leading, start, k_start, n, k, IS_ALIGNED, BLOCK, BLOCK_K))
    else:
        pointers = clamped_pointers(matrix_ptr, leading, k_start, start, k, n, IS_ALIGNED, BLOCK_K, BLOCK)
        block = tl.trans(tl.load(pointers))
    return tl.where((k_start + tl.arange(0, BLOCK_K) < k)[None, :], block, 0.0)


@jit
def multiply(left, right, total, UPCASTS: tl.constexpr, PRECISION: tl.constexpr):
    """total + left @ right' in fp32. Triton's interpreter needs UPCASTS: it cannot multiply bf16."""
    if UPCASTS:
        left = left.to(tl.float32)
        right = right.to(tl.float32)
    return tl.dot(left, tl.trans(right), total, input_precision=PRECISION)


@jit
def accumulate(
    left,
    right,
    row,
    col,
    m,
    n,
    k,
    TRANSPOSED_LEFT: tl.constexpr,
    TRANSPOSED_RIGHT: tl.constexpr,
    IS_ALIGNED: tl.constexpr,
    USES_DESCRIPTORS: tl.constexpr,
    UPCASTS: tl.constexpr,
    PRECISION: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
):
    """The tile of left @ right at (row, col), in fp32.

    Descriptors read zeros beyond k. Without them the loop takes whole blocks only, and what remains of k comes after
    it: a mask in the loop would cost registers at every size.
    """
    LEFT: tl.constexpr = not TRANSPOSED_LEFT
    RIGHT: tl.constexpr = TRANSPOSED_RIGHT
    left_source = operand_source(left, row, m, k, LEFT, IS_ALIGNED, USES_DESCRIPTORS, BLOCK_M, BLOCK_K)
    right_source = operand_source(right, col, n, k, RIGHT, IS_ALIGNED, USES_DESCRIPTORS, BLOCK_N, BLOCK_K)
    total = tl.zeros((BLOCK_M, BLOCK_N), dtype=tl.float32)
    end = k if USES_DESCRIPTORS else k // BLOCK_K * BLOCK_K
    for k_start in range(0, end, BLOCK_K):
        left_block = operand_block(left_source, left[1], row, k_start, LEFT, USES_DESCRIPTORS)
        right_block = operand_block(right_source, right[1], col, k_start, RIGHT, USES_DESCRIPTORS)
        total = multiply(left_block, right_block, total, UPCASTS, PRECISION)
    if not USES_DESCRIPTORS and end < k:
        left_block = operand_rest(left, row, end, m, k, LEFT, IS_ALIGNED, BLOCK_M, BLOCK_K)
        right_block = operand_rest(right, col, end, n, k, RIGHT, IS_ALIGNED, BLOCK_N, BLOCK_K)
        total = multiply(left_block, right_block, total, UPCASTS, PRECISION)
    return total


@jit
def tile_pointers(matrix, row, col, n_rows, n_cols, IS_ALIGNED: tl.constexpr, ROWS: tl.constexpr, COLS: tl.constexpr):
    """Pointers to the tile at (row, col), and which of them may be touched."""
    matrix_ptr, leading = matrix
    rows = tl.arange(0, ROWS)[:, None]
    cols = tl.arange(0, COLS)[None, :]
    corner_ptr = matrix_ptr + (row * leading + col)
    exists = (row + rows < n_rows) & (col + cols < padded_width(n_cols, IS_ALIGNED))
    return corner_ptr + (rows * leading.to(tl.int32) + cols), exists


@jit
def load_block(
    matrix,
    row,
    col,
    n_rows,
    n_cols,
    IS_ALIGNED: tl.constexpr,
    USES_DESCRIPTORS: tl.constexpr,
    ROWS: tl.constexpr,
    COLS: tl.constexpr,
):
    if USES_DESCRIPTORS:
        tile = descriptor(matrix[0], matrix[1], n_rows, n_cols, ROWS, COLS).load([row, col])
    else:
        pointers, exists = tile_pointers(matrix, row, col, n_rows, n_cols, IS_ALIGNED, ROWS, COLS)
        tile = tl.load(pointers, mask=exists, other=0.0)
    return tile


@jit
def store_block(
    matrix,
    tile,
    row,
    col,
    n_rows,
    n_cols,
    IS_ALIGNED: tl.constexpr,
    USES_DESCRIPTORS: tl.constexpr,
    ROWS: tl.constexpr,
    COLS: tl.constexpr,
):
    if USES_DESCRIPTORS:
        descriptor(matrix[0], matrix[1], n_rows, n_cols, ROWS, COLS).store([row, col], tile)
    else:
        pointers, exists = tile_pointers(matrix, row, col, n_rows, n_cols, IS_ALIGNED, ROWS, COLS)
        tl.store(pointers, tile, mask=exists)


@jit
def divided_times(base, exponent):
    """base to an exponent of 0, 1 or 2."""
    return tl.where(exponent > 0, base, 1.0) * tl.where(exponent > 1, base, 1.0)


@jit
def compute_block(
    problem_ptr,
    coefficients_ptr,
    row,
    col,
    OPERAND: tl.constexpr,
    IS_SYMMETRIC: tl.constexpr,
    HAS_DIAGONAL: tl.constexpr,
    TRANSPOSED_LEFT: tl.constexpr,
    TRANSPOSED_RIGHT: tl.constexpr,
    IS_ALIGNED: tl.constexpr,
    USES_DESCRIPTORS: tl.constexpr,
    UPCASTS: tl.constexpr,
    PRECISION: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
):
    """One tile of one problem and, of a symmetric one, its mirror image. A tile on the diagonal is its own.

    HAS_DIAGONAL: the tile may have a part of the diagonal.
    """
    left = matrix_of(problem_ptr, 0, OPERAND, IS_ALIGNED)
    right = matrix_of(problem_ptr, 1, OPERAND, IS_ALIGNED)
    out = matrix_of(problem_ptr, 3, OPERAND, IS_ALIGNED)
    m = tl.load(problem_ptr + 8).to(tl.int32)
    n = tl.load(problem_ptr + 9).to(tl.int32)
    k = tl.load(problem_ptr + 10).to(tl.int32)
    tile = accumulate(
        left,
        right,
        row,
        col,
        m,
        n,
        k,
        TRANSPOSED_LEFT,
        TRANSPOSED_RIGHT,
        IS_ALIGNED,
        USES_DESCRIPTORS,
        UPCASTS,
        PRECISION,
        BLOCK_M,
        BLOCK_N,
        BLOCK_K,
    )
    product_scale = tl.load(coefficients_ptr)
    addend_scale = tl.load(coefficients_ptr + 1)
    divisor_address = tl.load(problem_ptr + 11)
    if divisor_address != 0:
        inverse = 1.0 / tl.load(divisor_address.to(tl.pointer_type(tl.float32)))
        product_scale *= divided_times(inverse, tl.load(problem_ptr + 12))
        addend_scale *= divided_times(inverse, tl.load(problem_ptr + 13))
    # A term whose scale is 0 is 0, whatever else it would be: an overflowed norm makes zeros, not NaN.
    tile = tl.where(product_scale == 0.0, 0.0, tile * product_scale)
    if (tl.load(problem_ptr + 2) != 0) & (addend_scale != 0.0):
        addend = matrix_of(problem_ptr, 2, OPERAND, IS_ALIGNED)
        addend_tile = load_block(addend, row, col, m, n, IS_ALIGNED, USES_DESCRIPTORS, BLOCK_M, BLOCK_N)
        tile += addend_tile.to(tl.float32) * addend_scale
    if HAS_DIAGONAL:
        gamma = tl.load(coefficients_ptr + 2)
        if gamma != 0.0:
            on_diagonal = tl.arange(0, BLOCK_M)[:, None] == tl.arange(0, BLOCK_N)[None, :] + (col - row)
            tile += tl.where(on_diagonal, gamma, 0.0)
    tile = tile.to(OPERAND)
    if IS_SYMMETRIC:
        mirrored = tl.trans(tile)
        if HAS_DIAGONAL:
            if row == col:
                is_lower = tl.arange(0, BLOCK_M)[:, None] >= tl.arange(0, BLOCK_N)[None, :]
                tile = tl.where(is_lower, tile, mirrored)
            else:
                store_block(out, mirrored, col, row, n, m, IS_ALIGNED, USES_DESCRIPTORS, BLOCK_N, BLOCK_M)
        else:
            store_block(out, mirrored, col, row, n, m, IS_ALIGNED, USES_DESCRIPTORS, BLOCK_N, BLOCK_M)
    store_block(out, tile, row, col, m, n, IS_ALIGNED, USES_DESCRIPTORS, BLOCK_M, BLOCK_N)


@jit
def product_kernel(
    problems_ptr,
    coefficients_ptr,
    programs_ptr,
    OPERAND: tl.constexpr,
    IS_SYMMETRIC: tl.constexpr,
    TRANSPOSED_LEFT: tl.constexpr,
    TRANSPOSED_RIGHT: tl.constexpr,
    IS_ALIGNED: tl.constexpr,
    USES_DESCRIPTORS: tl.constexpr,
    SPLITS_DIAGONAL: tl.constexpr,
    UPCASTS: tl.constexpr,
    PRECISION: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
):
    """out = alpha/d^p · (left @ right) + beta/d^q · addend + gamma · I, in fp32, rounded once."""
    program_ptr = programs_ptr + tl.program_id(0) * 4
    problem = tl.load(program_ptr)
    row = tl.multiple_of(tl.load(program_ptr + 1), 16)
    col = tl.multiple_of(tl.load(program_ptr + 2), 16)
    problem_ptr = problems_ptr + problem * 14
    coefficients_ptr += problem * 3
    is_half = SPLITS_DIAGONAL and tl.load(program_ptr + 3) != 0
    if is_half:
        compute_block(
            problem_ptr,
            coefficients_ptr,
            row,
            col,
            OPERAND,
            IS_SYMMETRIC,
            True,
            TRANSPOSED_LEFT,
            TRANSPOSED_RIGHT,
            IS_ALIGNED,
            USES_DESCRIPTORS,
            UPCASTS,
            PRECISION,
            BLOCK_M // 2,
            BLOCK_N // 2,
            BLOCK_K,
        )
    else:
        compute_block(
            problem_ptr,
            coefficients_ptr,
            row,
            col,
            OPERAND,
            IS_SYMMETRIC,
            not SPLITS_DIAGONAL,
            TRANSPOSED_LEFT,
            TRANSPOSED_RIGHT,
            IS_ALIGNED,
            USES_DESCRIPTORS,
            UPCASTS,
            PRECISION,
            BLOCK_M,
            BLOCK_N,
            BLOCK_K,
        )
