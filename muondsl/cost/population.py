"""The parameters of one route: launches depend on the set of their shapes, sums on how many have each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from muondsl.cost.devices import Format
from muondsl.cost.shapes import Shape
from muondsl.ir import types
from muondsl.ir.types import Dim, Dims, DType

ITEM_BYTES: dict[Format, int] = {"bf16": 2, "fp16": 2, "fp32": 4}


@dataclass(frozen=True)
class Population:
    """Parameters of one number format. A parameter of the `otherwise` route is one row, as kernels fold it."""

    shapes: tuple[tuple[int, int], ...]
    format: Format

    @classmethod
    def of_matrices(cls, shapes: Iterable[Shape], parameters: Format) -> Population:
        return cls(tuple((shape.sizes[0], shape.sizes[1]) for shape in shapes), parameters)

    @classmethod
    def of_others(cls, shapes: Iterable[Shape], parameters: Format) -> Population:
        return cls(tuple((1, shape.numel) for shape in shapes), parameters)

    @cached_property
    def counts(self) -> dict[tuple[int, int], int]:
        """How many parameters have each shape; the shapes are in an order of their own."""
        return dict(sorted(Counter(self.shapes).items()))

    @property
    def elements(self) -> int:
        return sum(rows * cols for rows, cols in self.shapes)

    def item_bytes(self, dtype: DType) -> int:
        """Those of an element of a tensor of a step: a format that is wider than the parameters' is fp32."""
        if dtype.is_mask:
            return 1
        if dtype.fixed and dtype.follows_parameter:
            return 4
        return ITEM_BYTES[self.held_in(dtype.fixed)]

    def held_in(self, fixed: types.Format | None) -> Format:
        """The format of a tensor: its own, or the parameters'."""
        if fixed is None:
            return self.format
        assert fixed != "fp64", "a plan for GPUs computes in no fp64"
        return fixed


def extent(dim: Dim, rows: int, cols: int) -> int:
    """The length of a dimension in a matrix of these sizes."""
    return {"rows": rows, "cols": cols, "1": 1}[dim.tall if rows >= cols else dim.wide]


def area(dims: Dims, rows: int, cols: int) -> int:
    return extent(dims.row, rows, cols) * extent(dims.col, rows, cols)
