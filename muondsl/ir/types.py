"""Types of tensors: two dimensions that are symbols, and a number format that may follow the parameter's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Side = Literal["rows", "cols", "1"]
Axis = Literal["rows", "cols", "short", "long", "first", "last"]


@dataclass(frozen=True, slots=True)
class Dim:
    """A dimension, in matrices with rows >= cols (`tall`) and in the others (`wide`)."""

    tall: Side
    wide: Side

    def __str__(self) -> str:
        return _DIM_NAMES.get(self, f"{self.tall}|{self.wide}")


ROWS = Dim("rows", "rows")
COLS = Dim("cols", "cols")
ONE = Dim("1", "1")
SHORT = Dim("cols", "rows")
LONG = Dim("rows", "cols")
_DIM_NAMES = {ROWS: "rows", COLS: "cols", ONE: "1", SHORT: "short", LONG: "long"}


@dataclass(frozen=True, slots=True)
class Dims:
    """Rows and columns of a tensor."""

    row: Dim
    col: Dim

    def __str__(self) -> str:
        for name, dims in STATE_SHAPES.items():
            if dims == self and "," not in name:
                return f"[{name}]"
        return f"[{self.row}, {self.col}]"

    @property
    def sides(self) -> tuple[tuple[Side, ...], tuple[Side, ...]]:
        """The sides that are not 1, of tall matrices and of the others."""
        tall, wide = (self.row.tall, self.col.tall), (self.row.wide, self.col.wide)
        return tuple(side for side in tall if side != "1"), tuple(side for side in wide if side != "1")

    @property
    def is_number(self) -> bool:
        return self.sides == ((), ())

    @property
    def is_vector(self) -> bool:
        return all(len(sides) == 1 for sides in self.sides)

    @property
    def is_matrix(self) -> bool:
        return all(len(sides) == 2 for sides in self.sides)

    @property
    def length(self) -> Dim:
        """The dimension along which a vector lies."""
        (tall,), (wide,) = self.sides
        return Dim(tall, wide)

    @property
    def transposed(self) -> Dims:
        return Dims(self.col, self.row)

    @property
    def oriented(self) -> Dims:
        """The dimensions after rows and columns change places in tall matrices."""
        return Dims(Dim(self.col.tall, self.row.wide), Dim(self.row.tall, self.col.wide))


MATRIX = Dims(ROWS, COLS)
SCALAR = Dims(ONE, ONE)
STATE_SHAPES = {
    "rows, cols": MATRIX,
    "rows, 1": Dims(ROWS, ONE),
    "1, cols": Dims(ONE, COLS),
    "1, 1": SCALAR,
    "long": Dims(Dim("rows", "1"), Dim("1", "cols")),
    "short": Dims(Dim("1", "rows"), Dim("cols", "1")),
}
"""The shapes a state can be declared with, by the way they are written."""


def shorter(dims: Dims) -> Dim:
    """The shorter of the two dimensions of a tensor."""
    return Dim(_shorter(dims.row.tall, dims.col.tall, "cols"), _shorter(dims.row.wide, dims.col.wide, "rows"))


def _shorter(row: Side, col: Side, short: Side) -> Side:
    if row == col:
        return row
    return "1" if "1" in (row, col) else short


def broadcast(left: Dims, right: Dims) -> Dims | None:
    """The dimensions of an elementwise result, or None where they cannot be combined."""
    row, col = _broadcast_dim(left.row, right.row), _broadcast_dim(left.col, right.col)
    return Dims(row, col) if row and col else None


def _broadcast_dim(left: Dim, right: Dim) -> Dim | None:
    tall, wide = _broadcast_side(left.tall, right.tall), _broadcast_side(left.wide, right.wide)
    return Dim(tall, wide) if tall and wide else None


def _broadcast_side(left: Side, right: Side) -> Side | None:
    if left == right or right == "1":
        return left
    return right if left == "1" else None


def reduced(dims: Dims, axis: Axis) -> Dims | None:
    """The dimensions left when `axis` is reduced away, or None where a tensor of `dims` does not have it in its place:
    the rows of a matrix are its first dimension, its columns the second. `first` and `last` are places.
    """
    if axis in ("first", "last"):
        left = Dims(ONE, dims.col) if axis == "first" else Dims(dims.row, ONE)
        return left if left != dims else None
    tall = _without(dims.row.tall, dims.col.tall, "cols" if axis in ("cols", "short") else "rows")
    wide = _without(dims.row.wide, dims.col.wide, "cols" if axis in ("cols", "long") else "rows")
    return Dims(Dim(tall[0], wide[0]), Dim(tall[1], wide[1])) if tall and wide else None


def _without(row: Side, col: Side, side: Side) -> tuple[Side, Side] | None:
    if side == "rows":
        return ("1", col) if row == "rows" else None
    return (row, "1") if col == "cols" else None


Format = Literal["bf16", "fp16", "fp32", "fp64"]
FORMATS: tuple[Format, ...] = ("bf16", "fp16", "fp32", "fp64")


@dataclass(frozen=True, slots=True)
class DType:
    """A number format: `fixed`, the parameter's own, or the wider of both. `is_mask` marks conditions."""

    fixed: Format | None = None
    follows_parameter: bool = False
    is_mask: bool = False

    def __str__(self) -> str:
        if self.is_mask:
            return "bool"
        if self.fixed and self.follows_parameter:
            return f"max(param, {self.fixed})"
        return self.fixed or "param"


PARAM = DType(follows_parameter=True)
MASK = DType(is_mask=True)


def promote(left: DType, right: DType) -> DType:
    """The format of an elementwise result, as torch promotes types."""
    if left.is_mask or right.is_mask:
        return right if left.is_mask else left
    fixed = _wider(left.fixed, right.fixed)
    follows = left.follows_parameter or right.follows_parameter
    return DType(fixed, follows)


def _wider(left: Format | None, right: Format | None) -> Format | None:
    if left is None or right is None:
        return left or right
    if {left, right} == {"bf16", "fp16"}:
        return "fp32"
    return max(left, right, key=FORMATS.index)


@dataclass(frozen=True, slots=True)
class Type:
    """Dimensions and number format of a tensor."""

    dims: Dims
    dtype: DType

    def __str__(self) -> str:
        return f"{self.dtype}{self.dims}"
