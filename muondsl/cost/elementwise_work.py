"""An elementwise launch of the plan as work: what its programs load, compute and store.

Programs are divided as `Batch` divides them. A vector is loaded once for each tile that it crosses, a number and the
parts of a reduction once for each program that reads them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from muondsl.cost.population import Population, area, extent
from muondsl.cost.work import Work
from muondsl.ir import program as ir
from muondsl.ir.scalar import symbols
from muondsl.ir.types import MATRIX, Dims, DType
from muondsl.runtime.programs import FLAT, TILE, VECTOR, Division, divide_range, divide_tiles
from muondsl.schedule.launches import Access, Elementwise, LaunchPlan, Partial

FLOPS = {"lerp": 3, "add_scaled": 2, "copy": 0, "full": 0}
"""Of a function of elements; one for all others."""

PART_BYTES = 4
"""Of a part of a reduction."""


@dataclass(frozen=True, slots=True)
class _Count:
    """Of one matrix: bytes and operations."""

    loaded: int
    stored: int
    flops: int


@dataclass
class ElementwiseWork:
    """The elementwise launches of one route, in their order: later ones read the parts that earlier ones have left."""

    plan: LaunchPlan
    population: Population
    prefix: str
    divisions: dict[str, dict[tuple[int, int], Division]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.dims = {each.value: each.type.dims for each in self.plan.program.definitions}
        self.states = {state.name: state for state in self.plan.program.states}

    def scalars(self) -> Work:
        """The launch that computes numbers from hypers, in fp64."""
        read = {symbol for _, scalar in self.plan.scalars for symbol in symbols(scalar)}
        kinds = [symbol.kind for symbol in read]
        loaded = 4 + 8 * kinds.count("hyper") + 16 * ("shape" in kinds) + 12 * ("step" in kinds)
        n = len(self.population.shapes)
        stored = 4 * len(self.plan.scalars)
        return self._work("scalars", n, _Count(n * loaded, n * stored, n * len(self.plan.scalars)))

    def works(self, launch: Elementwise) -> Iterator[Work]:
        """One launch, or two: where sizes are multiples of 16 all loads are of 16 bytes, and others go apart."""
        for partial in launch.partials:
            self.divisions[partial.tensor] = {shape: _division(launch, *shape) for shape in self.population.counts}
        for is_aligned in (True, False):
            counts = {shape: n for shape, n in self.population.counts.items() if self._is_aligned(shape) == is_aligned}
            if launch.domain == "number":
                counts = self.population.counts if is_aligned else {}
            if counts:
                each = [(n, self._count(launch, *shape)) for shape, n in counts.items()]
                summed = _Count(
                    sum(n * one.loaded for n, one in each),
                    sum(n * one.stored for n, one in each),
                    sum(n * one.flops for n, one in each),
                )
                yield self._work(launch.name, sum(counts.values()), summed)

    def _is_aligned(self, shape: tuple[int, int]) -> bool:
        rows, cols = shape
        if self.plan.program.route == "otherwise":
            return rows * cols % 16 == 0
        return rows % 16 == 0 and cols % 16 == 0

    def _work(self, name: str, matrices: int, count: _Count) -> Work:
        return Work(
            kernel=f"{self.prefix}_{name}_kernel",
            title="",
            kind="elementwise",
            format="fp32",
            matrices=matrices,
            flops=count.flops,
            loaded=count.loaded,
            stored=count.stored,
            loaded_by_tiles=count.loaded,
        )

    def _count(self, launch: Elementwise, rows: int, cols: int) -> _Count:
        division = _division(launch, rows, cols)
        loaded = sum(self._loaded(launch, access, rows, cols, division) for access in launch.loads)
        stored = sum(
            area(self.dims[access.value], rows, cols) * self._item_bytes(access.tensor) for access in launch.stores
        )
        stored += sum(self._stored_parts(launch, partial, rows, cols, division) for partial in launch.partials)
        flops = sum(_flops(each) * area(each.type.dims, rows, cols) for each in launch.body)
        flops += sum(area(self.dims[each.reduction.operand], rows, cols) for each in launch.partials)
        return _Count(loaded, stored, flops)

    def _loaded(self, launch: Elementwise, access: Access, rows: int, cols: int, division: Division) -> int:
        dims = self.dims[access.value]
        times = self._parts_of(access.tensor, rows, cols)
        if dims.is_number:
            times *= division.programs
        elif dims.is_vector and launch.domain == "tiles":
            times *= _tiles_across(launch, dims, rows, cols)
        return area(dims, rows, cols) * times * self._item_bytes(access.tensor)

    def _parts_of(self, tensor: str, rows: int, cols: int) -> int:
        """How many parts a reader joins for each number; one where the tensor holds no parts."""
        buffer = self.plan.buffer(tensor)
        if not buffer or not buffer.parts:
            return 1
        division = self.divisions[tensor][rows, cols]
        return division.segments if self._is_along(buffer.parts) else division.programs

    def _stored_parts(self, launch: Elementwise, partial: Partial, rows: int, cols: int, division: Division) -> int:
        if launch.domain == "tiles" and self._is_along(partial.reduction):
            left = area(partial.definition.type.dims, rows, cols)
            return PART_BYTES * division.segments * left
        return PART_BYTES * division.programs

    def _is_along(self, reduction: ir.Reduce) -> bool:
        return reduction.axis is not None and self.dims[reduction.operand].is_matrix

    def _item_bytes(self, tensor: str) -> int:
        buffer = self.plan.buffer(tensor)
        if buffer:
            return PART_BYTES if buffer.parts else self.population.item_bytes(buffer.dtype)
        state = self.states.get(tensor)
        return self.population.item_bytes(DType(state.format if state else None))


def _division(launch: Elementwise, rows: int, cols: int) -> Division:
    """The programs of a matrix, as `Batch` divides them."""
    match launch.domain:
        case "number":
            return Division(1, 1, 1)
        case "vector":
            return divide_range(extent(launch.dims.row, rows, cols), VECTOR, has_whole=bool(launch.partials))
        case "flat":
            return divide_range(rows * cols, FLAT, has_whole=bool(launch.partials))
        case "tiles":
            has_along = any(each.reduction.axis for each in launch.partials)
            has_whole = any(not each.reduction.axis for each in launch.partials)
            down, across = _sides(launch.dims, rows, cols)
            return divide_tiles(down, across, launch.walk or "cols", has_whole=has_whole, has_along=has_along)


def _sides(dims: Dims, rows: int, cols: int) -> tuple[int, int]:
    return extent(dims.row, rows, cols), extent(dims.col, rows, cols)


def _tiles_across(launch: Elementwise, dims: Dims, rows: int, cols: int) -> int:
    """How many tiles a stretch of a vector crosses: those along the dimension in which the vector does not lie."""
    down, across = _sides(launch.dims, rows, cols)
    if launch.dims == MATRIX:
        side = dims.length.tall if rows >= cols else dims.length.wide
        other = across if side == "rows" else down
    else:
        other = across
    return -(-other // TILE)


def _flops(definition: ir.Definition) -> int:
    return FLOPS.get(definition.operation.function, 1) if isinstance(definition.operation, ir.Map) else 0
