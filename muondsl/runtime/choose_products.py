"""How torch multiplies an iteration: the form, the format of its products, and how symmetric ones are divided.

Accuracy says what is allowed, and of that a model of the CPU takes what costs the least: FLOPs by the rate of their
format, bytes that are moved for it, and calls. Elsewhere than on a CPU the form is that of kernels, nothing is divided.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import torch

from muondsl.runtime.forms import Coefficients, Operation, steps_to_products
from muondsl.runtime.iteration import Form, Gram, Iteration
from muondsl.runtime.processor import Processor, this_processor

WIDENED_GRAM = Gram(ratio=1.0, restarts=tuple(range(5, 100, 5)))
"""Of an iteration in 16 bits whose products are in fp32, for matrices of any sizes. Five steps on one Gram matrix lose
less than one step in bf16 does, ten can lose everything.
"""

LARGEST_FOLDED = 4.0
"""The largest a that 16 bits bear on a diagonal: that of Keller Jordan, 3.4, but not that of Polar Express, 8.3."""

PANELS = (128, 192, 256, 384, 512)
"""Rows into which symmetric products may be divided."""

LEAST_GAIN = 0.05
"""What a division has to save, beyond what a model is wrong by."""

WIDENING = 1.5
"""How many times as fast products in fp32 have to be before numbers are widened for them."""

CALLS_OF_PANEL = 6
"""What a panel takes of calls and views: of factors, addend and result, the product, the mirrored copy."""

Read = tuple[Operation, tuple[str, ...]]
"""An operation, and the squares that nothing behind it reads."""


@dataclass(frozen=True, slots=True)
class Products:
    """`dtype`: of factors and squares. `outer_panel` and `square_panel`: the rows of a panel of x xᵀ and of products of
    squares, of which what lies on and above the diagonal is computed and mirrored; 0 where they are computed whole.
    `seconds`: as the model has it.
    """

    form: Form
    dtype: torch.dtype
    operations: tuple[Read, ...]
    outer_panel: int = 0
    square_panel: int = 0
    seconds: float = 0.0


def choose_products(iteration: Iteration, short: int, long: int, dtype: torch.dtype, device: torch.device) -> Products:
    """Those of a matrix of these sizes in `dtype`. One on the device `meta` stands in for one on a CPU."""
    return _cheapest(iteration, short, long, dtype, this_processor() if device.type in ("cpu", "meta") else None)


@cache
def _cheapest(iteration: Iteration, short: int, long: int, dtype: torch.dtype, processor: Processor | None) -> Products:
    if processor is None:
        *_, gram = allowed_forms(iteration, short, dtype, dtype)
        return products_of(iteration, dtype, gram if gram and long >= gram.ratio * short else None)
    multiplied = _product_dtype(dtype, processor)
    found = [products_of(iteration, multiplied, gram) for gram in allowed_forms(iteration, short, dtype, multiplied)]
    return min((_divided(each, short, long, dtype, processor) for each in found), key=lambda each: each.seconds)


def _product_dtype(dtype: torch.dtype, processor: Processor) -> torch.dtype:
    """The format in which matrices of `dtype` are multiplied: fp32 where a CPU has no units for their own 16 bits, and
    takes several times as long to imitate them. Sums are of fp32 in either, and results are rounded to `dtype`.
    """
    is_slow = WIDENING * processor.rate(dtype).flops < processor.rate(torch.float32).flops
    return torch.float32 if dtype.itemsize == 2 and is_slow else dtype


def allowed_forms(iteration: Iteration, short: int, dtype: torch.dtype, multiplied: torch.dtype) -> list[Gram | None]:
    """Those that are accurate enough where products are in the format `multiplied`; None is the direct one."""
    gram = WIDENED_GRAM if multiplied != dtype else iteration.gram
    if iteration.gram is None or gram is None or short < gram.shortest:
        return [None]
    return [None, gram] if multiplied.itemsize > 2 or _is_gentle(iteration) else [None]


def _is_gentle(iteration: Iteration) -> bool:
    """Whether 16 bits bear a polynomial with its a on the diagonal. Where a is large, what is rounded of the diagonal
    brings parts of large singular values to small ones, and the next steps enlarge them.
    """
    return all(abs(a) <= LARGEST_FOLDED for a, _, _ in iteration.coefficients)


def products_of(iteration: Iteration, multiplied: torch.dtype, gram: Gram | None) -> Products:
    folds = iteration.folds_diagonal and (multiplied.itemsize > 2 or _is_gentle(iteration))
    operations = _with_last_reads(iteration.coefficients, gram, folds_diagonal=folds)
    return Products("gram" if gram else "direct", multiplied, operations)


@cache
def _with_last_reads(
    coefficients: tuple[Coefficients, ...], gram: Gram | None, *, folds_diagonal: bool
) -> tuple[Read, ...]:
    starts = gram.restarts if gram else range(len(coefficients))
    operations = steps_to_products(coefficients, starts, folds_diagonal=folds_diagonal)
    last = {name: operation for operation in operations for name in operation.inputs}
    return tuple(
        (replace(each, divisions=0), tuple(name for name, reader in last.items() if reader is each))
        for each in operations
    )


def _divided(products: Products, short: int, long: int, dtype: torch.dtype, processor: Processor) -> Products:
    """With panels, and what all of it costs."""
    outer, outer_seconds = _symmetric(short, long, products.dtype, processor)
    square, square_seconds = _symmetric(short, short, products.dtype, processor)
    apply_seconds = 2 * short * short * long / processor.rate(products.dtype).flops + processor.call
    seconds = {"outer": outer_seconds, "square": square_seconds, "apply": apply_seconds}
    summed = sum(seconds[operation.kind] for operation, _ in products.operations)
    return replace(
        products,
        outer_panel=outer,
        square_panel=square,
        seconds=summed + _converted_bytes(products, short * long, dtype) / processor.bandwidth,
    )


def _symmetric(side: int, depth: int, dtype: torch.dtype, processor: Processor) -> tuple[int, float]:
    """The rows of panels of a symmetric product, and its seconds."""
    rate = processor.rate(dtype)
    whole = 2 * side * side * depth / rate.flops + processor.call
    times = {0: whole * (1 - LEAST_GAIN)}
    for rows in PANELS:
        if rows < side:
            begins = range(0, side, rows)
            computed = sum(min(rows, side - begin) * (side - begin) for begin in begins)
            mirrored = sum(rows * (side - begin - rows) for begin in begins if side > begin + rows)
            times[rows] = (
                2 * computed * depth / rate.of_panel(rows)
                + 2 * mirrored * dtype.itemsize / processor.bandwidth
                + CALLS_OF_PANEL * len(begins) * processor.call
            )
    best = min(times, key=lambda rows: times[rows])
    return best, times[best] if best else whole


def _converted_bytes(products: Products, elements: int, dtype: torch.dtype) -> int:
    """What is read and written to widen panels, and to round results: in direct form x and the last result alone."""
    if products.dtype == dtype:
        return 0
    both = dtype.itemsize + products.dtype.itemsize
    if products.form == "direct":
        return 2 * elements * both
    kinds = [operation.kind for operation, _ in products.operations]
    return elements * both * (kinds.count("outer") + 2 * kinds.count("apply"))
