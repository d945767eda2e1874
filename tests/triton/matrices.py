"""Matrices in memory as kernels see them: strided, aligned or not, and with nan wherever no element is."""

from __future__ import annotations

import torch
from torch import Tensor

from muondsl.runtime.products import Operand


class Placed:
    """A copy of a matrix in memory of its own, between nan; `tensor` views what is there now."""

    def __init__(self, matrix: Tensor, dtype: torch.dtype, *, is_aligned: bool = True) -> None:
        rows, cols = matrix.shape
        self.is_aligned = is_aligned
        leading = -(-cols // 16) * 16 if is_aligned else cols + 3
        self.memory = torch.full((rows * leading + 256,), float("nan"), dtype=dtype)
        # An address that is a multiple of 256, or else of an element's size and no more.
        start = -self.memory.data_ptr() % 256 // dtype.itemsize + (0 if is_aligned else 1)
        self.tensor = self.memory[start:].as_strided((rows, cols), (leading, 1))
        self.tensor.copy_(matrix)
        self.operand = Operand(self.tensor.data_ptr(), leading)

    def addresses(self) -> set[int]:
        """Those of the elements."""
        return self._addresses(self.tensor.shape[1])

    def readable(self) -> set[int]:
        """Those of the elements, and of what belongs to their rows up to the next multiple of 16."""
        return self._addresses(-(-self.tensor.shape[1] // 16) * 16 if self.is_aligned else self.tensor.shape[1])

    def _addresses(self, width: int) -> set[int]:
        start, size = self.tensor.data_ptr(), self.tensor.element_size()
        return {
            start + (row * self.operand.leading + col) * size for row in range(len(self.tensor)) for col in range(width)
        }

    def outside(self) -> Tensor:
        """The memory with the matrix and what belongs to its rows up to the next multiple of 16 taken out."""
        rows, leading = self.tensor.shape[0], self.operand.leading
        width = min(-(-self.tensor.shape[1] // 16) * 16, leading)
        rest = self.memory.clone()
        start = self.tensor.storage_offset()
        rest[start : start + rows * leading].view(rows, leading)[:, :width] = float("nan")
        return rest


def normal(rows: int, cols: int, seed: int, dtype: torch.dtype) -> Tensor:
    """Normal entries that the dtype can represent."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, cols, generator=generator, dtype=torch.float64).to(dtype).to(torch.float64)
