"""The passes in the order in which they run, each with the reason for its place. Every pass leaves a valid program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from muondsl.ir import program as ir
from muondsl.ir.verify import verify
from muondsl.optimize.choose_short_side import choose_short_side
from muondsl.optimize.collect_iterations import collect_iterations, fold_normalisation
from muondsl.optimize.copy_aliased_results import copy_aliased_results
from muondsl.optimize.fuse_product_epilogue import fuse_product_epilogue
from muondsl.optimize.fuse_scaled_addition import fuse_scaled_addition
from muondsl.optimize.remove_unused import remove_unused
from muondsl.optimize.share_common_subexpressions import share_common_subexpressions
from muondsl.optimize.simplify_host_scalars import simplify_host_scalars
from muondsl.optimize.spell_out_reductions import spell_out_reductions
from muondsl.optimize.split_scaled_products import split_scaled_products

Numerics = Literal["faithful", "fast"]
NUMERICS: tuple[Numerics, ...] = ("faithful", "fast")
Pass = Callable[[ir.Program], ir.Program]

FAITHFUL: tuple[Pass, ...] = (
    # First, so that everything behind it sees one value where the spec writes one thing twice (`x @ x'`).
    share_common_subexpressions,
    # Before products are fused: it recognises an iteration by its plain products, and the fused ones inherit the side.
    choose_short_side,
    # Turning sides round can make transposes meet again.
    share_common_subexpressions,
    # A product with its sum is one rounding; this is what `faithful` means by the order of operations.
    fuse_product_epilogue,
    # Sharing and fusing leave definitions that nobody reads.
    remove_unused,
    # Last: a copy is there for the memory, and no pass that looks at meaning would keep it.
    copy_aliased_results,
)

FAST: tuple[Pass, ...] = (
    # First: simpler scalars compare equal more often.
    simplify_host_scalars,
    *FAITHFUL[:-2],
    # Behind the products, which have the better claim to a sum.
    fuse_scaled_addition,
    *FAITHFUL[-2:],
)

GPU_FAITHFUL: tuple[Pass, ...] = (
    # Behind the fusion of products, by whose form it knows a step.
    collect_iterations,
    # What is left of products has its factors built in.
    split_scaled_products,
    # Reductions begin in one launch and end in the next: what is done with the sum is work of its own.
    spell_out_reductions,
)

GPU_FAST: tuple[Pass, ...] = (
    *GPU_FAITHFUL,
    # The first products of an iteration can divide by the norm; the pass over the matrix that does it becomes unused.
    fold_normalisation,
    remove_unused,
)
"""What follows for launches on a GPU."""


def optimize(step: ir.Step, numerics: Numerics) -> ir.Step:
    """The step with every pass of `numerics` applied to each of its programs."""
    return _each(step, FAITHFUL if numerics == "faithful" else FAST)


def optimize_for_torch(step: ir.Step, numerics: Numerics) -> ir.Step:
    """What `optimize` yielded, in the form that statements of torch are planned from. `faithful` has its products one
    by one.
    """
    return _each(step, () if numerics == "faithful" else (collect_iterations,))


def optimize_for_gpu(step: ir.Step, numerics: Numerics) -> ir.Step:
    """What `optimize` yielded, in the form that launches on a GPU are planned from."""
    return _each(step, GPU_FAITHFUL if numerics == "faithful" else GPU_FAST)


def _each(step: ir.Step, passes: tuple[Pass, ...]) -> ir.Step:
    matrix, *rest = (run(program, passes) for program in step.programs())
    return ir.Step(matrix, rest[0] if rest else None)


def run(program: ir.Program, passes: tuple[Pass, ...]) -> ir.Program:
    for each in passes:
        program = verify(each(program), each.__name__)
    return program
