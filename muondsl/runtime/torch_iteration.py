"""Quintic iterations by torch's products: the form that a matrix takes, the format it is multiplied in, the products.

The same lists of products as on a GPU. A panel, x and what it becomes, stays as it lies in memory, wide or tall: every
product then reads and writes rows in order, and nothing is transposed.
"""

from __future__ import annotations

import torch
from torch import Tensor

from muondsl.runtime.choose_products import Products, choose_products
from muondsl.runtime.forms import Operation
from muondsl.runtime.iteration import Iteration

WIDENED_COLUMNS = (128, 512)
"""How many columns of a long panel are widened at a time: as many as it has rows, but enough to be worth the calls, and
no more than stay in a cache of their core.
"""


def iterated(iteration: Iteration, x: Tensor) -> Tensor:
    """x after all steps: [rows, cols], or [matrices, rows, cols], with no more rows than columns. The result has the
    format of x and lies in memory as x does, which is left alone.
    """
    return multiplied(x, choose_products(iteration, x.shape[-2], x.shape[-1], x.dtype, x.device))


def multiplied(x: Tensor, products: Products) -> Tensor:
    """As `iterated`, by these products."""
    if products.form == "direct" and products.dtype != x.dtype:
        return _Run(x.to(products.dtype), products, is_given=False).result().to(x.dtype)
    return _Run(x, products).result()


class _Run:
    """The products of one matrix, or of several of one shape. Squares are in the format of products, panels in x's."""

    def __init__(self, x: Tensor, products: Products, *, is_given: bool = True) -> None:
        """Where x is not given by somebody, it is written over."""
        self.panel, self.products, self.is_given = x, products, is_given
        self.dtype = products.dtype
        self.is_tall = x.mT.is_contiguous() and not x.is_contiguous()
        self.squares: dict[str, Tensor] = {}
        self.free: list[Tensor] = []
        self.spare: list[Tensor] = []

    def result(self) -> Tensor:
        for operation, unread in self.products.operations:
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
        rows = self._rows_of_panels(self.products.outer_panel)
        for index, piece in enumerate(self._pieces(self.panel)):
            x = piece.to(self.dtype)
            fill_symmetric(out, x, x.mT, rows, addend=out if index else None)
        _mirror(out, rows)

    def _square(self, operation: Operation) -> None:
        left, right = self.squares[operation.left], self.squares[operation.right]
        addend = None if operation.addend is None else self.squares[operation.addend]
        out = self._new_square(operation.out)
        rows = self._rows_of_panels(self.products.square_panel)
        fill_symmetric(out, left, right, rows, addend=addend, beta=operation.beta, alpha=operation.alpha)
        _mirror(out, rows)
        if operation.gamma:
            self._add_identity(operation, left, out)

    def _rows_of_panels(self, chosen: int) -> int:
        """All rows of what is computed whole, such as each of several small matrices."""
        return chosen if chosen and self.panel.ndim == 2 else self.panel.shape[-2]

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
            self.free.clear()  # whose memory is needed more for what is widened
            for piece, target in zip(self._pieces(panel), self._pieces(out), strict=True):
                wide = piece.to(self.dtype)
                result = torch.empty_like(wide)
                self._multiply(operation, factor, wide, result)
                target.copy_(result)
        self.panel, self.is_given = out, False

    def _multiply(self, operation: Operation, factor: Tensor, x: Tensor, out: Tensor) -> None:
        """The factor is symmetric."""
        left, right, target = (x.mT, factor, out.mT) if self.is_tall else (factor, x, out)
        addend = None if operation.addend is None else x.mT if self.is_tall else x
        _fill(target, left, right, addend=addend, beta=operation.beta, alpha=operation.alpha)

    def _next_panel(self) -> Tensor:
        """Where the next panel goes: over the present one where that is widened piece by piece; never over x. Those of
        a square matrix share memory with its squares.
        """
        if self.dtype != self.panel.dtype and not self.is_given:
            return self.panel
        rows, cols = self.panel.shape[-2:]
        spare = self.free if rows == cols and self.dtype == self.panel.dtype and not self.is_tall else self.spare
        new = spare.pop() if spare else torch.empty_like(self.panel)
        if not self.is_given:
            spare.append(self.panel)
        return new

    def _pieces(self, panel: Tensor) -> tuple[Tensor, ...]:
        if self.dtype == panel.dtype:
            return (panel,)
        columns = min(WIDENED_COLUMNS[1], max(WIDENED_COLUMNS[0], panel.shape[-2]))
        return torch.split(panel, columns, dim=-1)


def _fill(
    out: Tensor, left: Tensor, right: Tensor, *, addend: Tensor | None, beta: float = 1.0, alpha: float = 1.0
) -> None:
    """out ← β addend + α left right, of matrices or of stacks of them; without an addend left right."""
    if addend is None:
        torch.matmul(left, right, out=out)
    else:
        add = torch.ops.aten.addmm if out.ndim == 2 else torch.ops.aten.baddbmm
        add(addend, left, right, beta=beta, alpha=alpha, out=out)


def fill_symmetric(
    out: Tensor,
    left: Tensor,
    right: Tensor,
    rows: int,
    *,
    addend: Tensor | None,
    beta: float = 1.0,
    alpha: float = 1.0,
) -> None:
    """As `_fill`, of each panel of rows what begins at the diagonal."""
    if rows >= out.shape[-2]:
        _fill(out, left, right, addend=addend, beta=beta, alpha=alpha)
        return
    for begin in range(0, out.shape[-2], rows):
        panel = slice(begin, begin + rows)
        own = None if addend is None else addend[..., panel, begin:]
        _fill(out[..., panel, begin:], left[..., panel, :], right[..., begin:], addend=own, beta=beta, alpha=alpha)


def _mirror(out: Tensor, rows: int) -> None:
    """Below panels of rows, what stands beside them."""
    for begin in range(0, out.shape[-2] - rows, rows):
        end = begin + rows
        out[..., end:, begin:end].copy_(out[..., begin:end, end:].mT)
