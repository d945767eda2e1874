"""Quintic iterations of many matrices at once: which form each takes, and the launches that they share.

In: an `Iteration`, which generated modules print, and where each matrix lies. Out: a list of launches of the product
kernels. What a matrix gets depends on its own shape and values alone, never on what else is in the list.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import torch

from muondsl.runtime.choose_tile import prefers_symmetric, product_tile
from muondsl.runtime.forms import Coefficients, Operation, steps_to_products
from muondsl.runtime.launch import Launch
from muondsl.runtime.layout import Layout, layout
from muondsl.runtime.products import Operand, Problem, executed_flops, product_launch
from muondsl.runtime.small import SmallMatrix, small_launches
from muondsl.runtime.tiles import Tile, TileTable, longest_small
from muondsl.runtime.waves import places, waves

Form = Literal["small", "direct", "gram"]


@dataclass(frozen=True, slots=True)
class Gram:
    """The form that multiplies polynomials of x xᵀ and touches a long x only before and after several steps.

    Kernels take it where long ≥ ratio · short and short ≥ shortest, on a CPU a model of it decides where short ≥
    shortest. `restarts` says after how many steps x is formed anew, which bounds the error; from five steps in bf16
    after 2 and 4, in fp16 after 3. Below 512 rows the rounding of squares in 16 bits costs small singular values more
    than steps on x itself do.
    """

    ratio: float
    restarts: tuple[int, ...] = ()
    shortest: int = 0


@dataclass(frozen=True, slots=True)
class Iteration:
    """x ← a x + (b s + c s s) x with s = x xᵀ, once for each (a, b, c), on matrices that are no taller than wide.

    `small` is the longest short side that is iterated in one launch, if the kernel for that can hold it. With
    `folds_diagonal` a is added to the diagonal of the polynomial before it is rounded, rather than a x to the product.
    Products are cut by `tiles`, or as usual.
    """

    coefficients: tuple[Coefficients, ...]
    dtype: torch.dtype
    gram: Gram | None = None
    small: int = 128
    folds_diagonal: bool = True
    tiles: TileTable | None = None

    def __post_init__(self) -> None:
        if not self.coefficients:
            raise ValueError("an iteration needs at least one (a, b, c)")

    def computed_dtype(self, dtype: torch.dtype) -> torch.dtype:
        """The format of the steps for parameters of `dtype`: iterations in fp32 are in fp64 for those in fp64."""
        return torch.promote_types(self.dtype, dtype) if self.dtype == torch.float32 else self.dtype

    def form(self, short: int, long: int) -> Form:
        """The form in which a matrix of these two sizes, in either order, is iterated."""
        short, long = sorted((short, long))
        if short <= min(self.small, longest_small(str(self.dtype).removeprefix("torch."))):
            return "small"
        if self.gram is not None and short >= self.gram.shortest and long >= self.gram.ratio * short:
            return "gram"
        return "direct"

    def operations(self, short: int, long: int) -> tuple[Operation, ...]:
        """The products of a matrix, in order; none for small ones."""
        return _operations(self, self.form(short, long))

    def layout(self, short: int, long: int) -> Layout:
        """Where the matrices of the iteration lie. Its `bytes` are the working set: two panels, source and result, and
        one square in direct form, or one to three in Gram form; a small matrix is its source and nothing else.
        """
        return _layout(self, short, long)


@dataclass(frozen=True, slots=True)
class Member:
    """A matrix to be iterated: addresses of its source, its scratch, and the fp32 number that divides it (0: none).

    The result is at `layout(short, long).result_address(source, scratch)`. The source is written over.
    """

    short: int
    long: int
    source: int
    scratch: int
    divisor: int = 0


@dataclass(frozen=True, slots=True)
class Key:
    """What the products of one launch have in common."""

    tile: Tile
    is_symmetric: bool
    has_addend: bool
    transposed: tuple[bool, bool]


def iteration_launches(
    iteration: Iteration, members: Sequence[Member], *, device: torch.device, architecture: str
) -> list[Launch]:
    """The launches that iterate all members: one a wave of products, and those of small matrices at the end."""
    members = [member for member in members if member.short]
    forms = [iteration.form(member.short, member.long) for member in members]
    small = [member for member, chosen in zip(members, forms, strict=True) if chosen == "small"]
    others = [member for member, chosen in zip(members, forms, strict=True) if chosen != "small"]
    launches = _product_launches(iteration, others, device=device, architecture=architecture)
    if small:
        launches += small_launches(
            [_small_matrix(iteration, member) for member in small],
            iteration.coefficients,
            dtype=iteration.dtype,
            architecture=architecture,
            device=device,
            title=f"{len(iteration.coefficients)} steps",
        )
    return launches


def iteration_flops(iteration: Iteration, short: int, long: int, architecture: str) -> int:
    """The multiplications and additions of all tiles that run for one matrix, with padding and what diagonals repeat.

    A small matrix is counted as `dense_flops`: it has no tiles.
    """
    if iteration.form(short, long) == "small":
        return dense_flops(iteration, short, long)
    member = Member(short, long, 0, 0)
    return sum(
        executed_flops([_problem(iteration, member, operation)], key.tile, is_symmetric=key.is_symmetric)
        for operation, key in zip(
            iteration.operations(short, long), _keys(iteration, short, long, architecture), strict=True
        )
    )


def dense_flops(iteration: Iteration, short: int, long: int) -> int:
    """Those of the same steps as three whole products each: x xᵀ, s s and p x."""
    return len(iteration.coefficients) * (4 * short * short * long + 2 * short**3)


@cache
def _operations(iteration: Iteration, chosen: Form) -> tuple[Operation, ...]:
    if chosen == "small":
        return ()
    restarts = iteration.gram.restarts if iteration.gram and chosen == "gram" else range(len(iteration.coefficients))
    return steps_to_products(iteration.coefficients, restarts, folds_diagonal=iteration.folds_diagonal)


@cache
def _layout(iteration: Iteration, short: int, long: int) -> Layout:
    return layout(iteration.operations(short, long), short, long, iteration.dtype.itemsize)


def _keys(iteration: Iteration, short: int, long: int, architecture: str) -> tuple[Key, ...]:
    """The key of each operation: of the matrix' own shape, so that its bits do not depend on other matrices."""
    dtype = str(iteration.dtype).removeprefix("torch.")

    def key(operation: Operation) -> Key:
        depth = long if operation.kind == "outer" else short
        is_symmetric = not operation.is_panel and prefers_symmetric(short, depth, architecture, dtype, iteration.tiles)
        return Key(
            product_tile(architecture, dtype, is_symmetric=is_symmetric, side=short, tiles=iteration.tiles),
            is_symmetric,
            operation.addend is not None,
            # A symmetric right factor is its own transpose, of which rows are contiguous as those of the left one are.
            transposed=(False, not operation.is_panel),
        )

    return tuple(key(operation) for operation in iteration.operations(short, long))


def _product_launches(
    iteration: Iteration, members: Sequence[Member], *, device: torch.device, architecture: str
) -> list[Launch]:
    shapes = {(member.short, member.long) for member in members}
    sequences = {shape: _keys(iteration, *shape, architecture) for shape in shapes}
    merged = waves(sequences.values())
    problems: list[list[Problem]] = [[] for _ in merged]
    titles: list[dict[str, None]] = [{} for _ in merged]
    taken = {shape: places(sequence, merged) for shape, sequence in sequences.items()}
    for member in members:
        shape = member.short, member.long
        for operation, wave in zip(iteration.operations(*shape), taken[shape], strict=True):
            problems[wave].append(_problem(iteration, member, operation))
            titles[wave][str(operation)] = None
    return [
        product_launch(
            wave,
            dtype=iteration.dtype,
            tile=key.tile,
            device=device,
            is_symmetric=key.is_symmetric,
            transposed=key.transposed,
            title="; ".join(title),
        )
        for key, wave, title in zip(merged, problems, titles, strict=True)
        if wave  # of three or more sequences, joined two at a time, one may find earlier places for all that it has
    ]


def _problem(iteration: Iteration, member: Member, operation: Operation) -> Problem:
    placed = iteration.layout(member.short, member.long)

    def operand(name: str) -> Operand:
        return Operand(placed.address(name, member.source, member.scratch), placed.places[name].leading)

    return Problem(
        left=operand(operation.left),
        right=operand(operation.right),
        out=operand(operation.out),
        m=member.short,
        n=member.long if operation.is_panel else member.short,
        k=member.long if operation.kind == "outer" else member.short,
        addend=None if operation.addend is None else operand(operation.addend),
        alpha=operation.alpha,
        beta=operation.beta,
        gamma=operation.gamma,
        divisor=member.divisor if operation.divisions else 0,
        divisions=(operation.divisions, operation.divisions),
    )


def _small_matrix(iteration: Iteration, member: Member) -> SmallMatrix:
    x = Operand(member.source, iteration.layout(member.short, member.long).leading)
    return SmallMatrix(x=x, out=x, short=member.short, long=member.long, divisor=member.divisor)
