"""Quintic iterations by torch's products: the form that a matrix takes, the format it is multiplied in, the products.

The same lists of products as on a GPU. A panel, x and what it becomes, stays as it lies in memory, wide or tall: every
product then reads and writes rows in order, and nothing is transposed.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import torch
from torch import Tensor

from muondsl.runtime.forms import Coefficients, Operation, steps_to_products
from muondsl.runtime.iteration import Form, Gram, Iteration

WIDENED_GRAM = Gram(ratio=1.5, restarts=tuple(range(5, 100, 5)))
"""Of an iteration in 16 bits whose products are in fp32. Five steps on one Gram matrix lose less than one step in bf16
does, ten can lose everything.
"""

LARGEST_FOLDED = 4.0
"""The largest a that 16 bits bear on a diagonal: that of Keller Jordan, 3.4, but not that of Polar Express, 8.3."""

WIDENED_COLUMNS = 1024
"""How many columns of a long panel are widened at a time, so that they stay in a cache of their core."""


def product_dtype(dtype: torch.dtype, device: torch.device) -> torch.dtype:
    """The format in which matrices of `dtype` are multiplied: fp32 where a CPU has no units for their own 16 bits, and
    takes several times as long to imitate them. Sums are of fp32 in either, and results are rounded to `dtype`.
    """
    if device.type == "cpu" and dtype in UNITS and not any(_capabilities().get(unit) for unit in UNITS[dtype]):
        return torch.float32
    return dtype


UNITS = {
    torch.bfloat16: ("amx_bf16", "avx512_bf16", "avx10_1", "bf16", "sve_bf16"),
    torch.float16: ("amx_fp16", "avx512_fp16", "avx10_1", "fp16_arith"),
}


@cache
def _capabilities() -> dict[str, object]:
    """What torch finds of the CPU; of versions of torch that do not say, that it has everything."""
    find = getattr(torch.cpu, "get_capabilities", None)
    return dict(find()) if find else {units[0]: True for units in UNITS.values()}


def torch_form(iteration: Iteration, short: int, long: int, dtype: torch.dtype, device: torch.device) -> Form:
    """The form in which `iterated` takes a matrix of these sizes."""
    gram = _gram(iteration, dtype, device)
    return "gram" if gram and short >= gram.shortest and long >= gram.ratio * short else "direct"


def _gram(iteration: Iteration, dtype: torch.dtype, device: torch.device) -> Gram | None:
    if product_dtype(dtype, device) != dtype:
        return WIDENED_GRAM if iteration.gram else None
    return iteration.gram if dtype.itemsize > 2 or _is_gentle(iteration) else None


def _is_gentle(iteration: Iteration) -> bool:
    """Whether 16 bits bear a polynomial with its a on the diagonal. Where a is large, what is rounded of the diagonal
    brings parts of large singular values to small ones, and the next steps enlarge them.
    """
    return all(abs(a) <= LARGEST_FOLDED for a, _, _ in iteration.coefficients)


def iterated(iteration: Iteration, x: Tensor) -> Tensor:
    """x after all steps: [rows, cols], or [matrices, rows, cols], with no more rows than columns. The result has the
    format of x and lies in memory as x does, which is left alone.
    """
    short, long = x.shape[-2:]
    dtype = product_dtype(x.dtype, x.device)
    form = torch_form(iteration, short, long, x.dtype, x.device)
    gram = _gram(iteration, x.dtype, x.device) if form == "gram" else None
    folds = iteration.folds_diagonal and (dtype.itemsize > 2 or _is_gentle(iteration))
    operations = _with_last_reads(iteration.coefficients, gram, folds_diagonal=folds)
    if form == "direct" and dtype != x.dtype:
        return _Run(x.to(dtype), dtype, is_given=False).result(operations).to(x.dtype)
    return _Run(x, dtype).result(operations)


Reads = tuple[tuple[Operation, tuple[str, ...]], ...]


@cache
def _with_last_reads(coefficients: tuple[Coefficients, ...], gram: Gram | None, *, folds_diagonal: bool) -> Reads:
    """The operations, each with the squares that nothing behind it reads."""
    starts = gram.restarts if gram else range(len(coefficients))
    operations = steps_to_products(coefficients, starts, folds_diagonal=folds_diagonal)
    last = {name: operation for operation in operations for name in operation.inputs}
    return tuple(
        (replace(each, divisions=0), tuple(name for name, reader in last.items() if reader is each))
        for each in operations
    )


class _Run:
    """The products of one matrix, or of several of one shape. Squares are in the format of products, panels in x's."""

    def __init__(self, x: Tensor, dtype: torch.dtype, *, is_given: bool = True) -> None:
        """Where x is not given by somebody, it is written over."""
        self.panel, self.dtype, self.is_given = x, dtype, is_given
        self.is_tall = x.mT.is_contiguous() and not x.is_contiguous()
        self.squares: dict[str, Tensor] = {}
        self.free: list[Tensor] = []
        self.spare: Tensor | None = None

    def result(self, operations: Reads) -> Tensor:
        for operation, unread in operations:
            match operation.kind:
                case "outer":
                    self._outer(operation)
                case "square":
                    self._square(operation)
                case "apply":
                    self._apply(operation)
            self.free += [self.squares.pop(name) for name in unread if name in self.squares]
        return self.panel

    def _new_square(self, name: str) -> Tensor:
        side = self.panel.shape[-2]
        sizes = (*self.panel.shape[:-2], side, side)
        new = self.free.pop() if self.free else torch.empty(sizes, dtype=self.dtype, device=self.panel.device)
        self.squares[name] = new
        return new

    def _outer(self, operation: Operation) -> None:
        out = self._new_square(operation.out)
        for index, piece in enumerate(self._pieces(self.panel)):
            x = piece.to(self.dtype)
            if index:
                _product_with_addend(x.ndim)(out, x, x.mT, out=out)
            else:
                torch.matmul(x, x.mT, out=out)

    def _square(self, operation: Operation) -> None:
        left, right = self.squares[operation.left], self.squares[operation.right]
        out = self._new_square(operation.out)
        if operation.addend is None:
            torch.matmul(left, right, out=out)
        else:
            addend = self.squares[operation.addend]
            _product_with_addend(left.ndim)(addend, left, right, beta=operation.beta, alpha=operation.alpha, out=out)
        if operation.gamma:
            self._add_identity(operation, left, out)

    def _add_identity(self, operation: Operation, s: Tensor, out: Tensor) -> None:
        """Adds γ I to α s s + β s. Rounded twice, one number on all of a diagonal would be off everywhere alike: in 16
        bits it is computed again, in fp32, and rounded once.
        """
        diagonal = out.diagonal(dim1=-2, dim2=-1)
        if out.dtype.itemsize > 2:
            diagonal.add_(operation.gamma)
            return
        sums = torch.linalg.vector_norm(s, dim=-1, dtype=torch.float32).square_().mul_(operation.alpha)
        sums.add_(s.diagonal(dim1=-2, dim2=-1), alpha=operation.beta).add_(operation.gamma)
        diagonal.copy_(sums)

    def _apply(self, operation: Operation) -> None:
        factor, panel, out = self.squares[operation.left], self.panel, self._next_panel()
        if self.dtype == panel.dtype:
            self._multiply(operation, factor, panel, out)
        else:
            for piece, target in zip(self._pieces(panel), self._pieces(out), strict=True):
                wide = piece.to(self.dtype)
                result = torch.empty_like(wide)
                self._multiply(operation, factor, wide, result)
                target.copy_(result)
        self.panel, self.is_given = out, False

    def _multiply(self, operation: Operation, factor: Tensor, x: Tensor, out: Tensor) -> None:
        """The factor is symmetric."""
        left, right, target = (x.mT, factor, out.mT) if self.is_tall else (factor, x, out)
        if operation.addend is None:
            torch.matmul(left, right, out=target)
        else:
            addend = x.mT if self.is_tall else x
            _product_with_addend(x.ndim)(addend, left, right, beta=operation.beta, alpha=operation.alpha, out=target)

    def _next_panel(self) -> Tensor:
        """Where the next panel goes: over the present one where that is widened piece by piece; never over x."""
        if self.dtype != self.panel.dtype and not self.is_given:
            return self.panel
        new = torch.empty_like(self.panel) if self.spare is None else self.spare
        self.spare = None if self.is_given else self.panel
        return new

    def _pieces(self, panel: Tensor) -> tuple[Tensor, ...]:
        return (panel,) if self.dtype == panel.dtype else panel.split(WIDENED_COLUMNS, dim=-1)


def _product_with_addend(ndim: int) -> torch._ops.OpOverloadPacket:
    """torch's β addend + α left right, of matrices or of stacks of them."""
    return torch.ops.aten.addmm if ndim == 2 else torch.ops.aten.baddbmm
