"""An elementwise launch as a Triton kernel. Decides nothing: the plan has, and `Expressions` says each value."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from muondsl.emit.comments import Comments
from muondsl.emit.triton_expressions import Expressions, Line, triton_dtype
from muondsl.ir import program as ir
from muondsl.ir.reserved import KEYWORDS
from muondsl.ir.types import COLS, LONG, MATRIX, ONE, ROWS, SHORT, Dims, DType
from muondsl.schedule.name_launches import free_name

if TYPE_CHECKING:
    from muondsl.check import typed
    from muondsl.schedule.launches import Access, Elementwise, LaunchPlan, Partial

AXES = {ROWS: "rows", COLS: "cols", SHORT: "short", LONG: "long"}
KINDS = {"sum": ("sum", "0.0"), "max": ("max", 'float("-inf")'), "min": ("min", 'float("inf")')}
DEVICE_FUNCTIONS = {
    "muondsl.runtime.arithmetic": ("double", "lerp", "maximum", "minimum", "power", "rounded", "sign", "tanh"),
    "muondsl.runtime.elementwise": (
        *("flat_at", "load_flat", "load_oriented", "load_scalar", "load_spread", "load_tile", "load_vector"),
        *("shape_in_fp64", "side_of", "spread", "step_of", "store_flat", "store_oriented", "store_scalar"),
        *("store_tile", "store_vector", "tile_at", "vector_at", "within", "within_flat", "within_vector", "work_of"),
    ),
    "muondsl.runtime.partial_sums": ("load_along", "load_whole", "store_along", "store_whole"),
    "muondsl.runtime.rounding": ("store_flat_parameter", "store_parameter"),
    "muondsl.runtime.squares": ("load_transposed", "work_of_square"),
}
RESERVED = frozenset(
    {
        *(name for names in DEVICE_FUNCTIONS.values() for name in names),
        *("work", "tile", "vector", "flat", "index", "matrix", "scalars", "hypers", "tl", "jit", "float", "range"),
        *("rows", "cols", "numel", "step", "PARAMETER", "COMPUTED", "GRADIENT", "ROUNDING", "IS_ALIGNED", "BLOCK"),
        *("hypers_ptr", "groups_ptr", "shapes_ptr", "steps_ptr", "scalars_ptr", "programs_ptr"),
        *("rounding_ptr", "keys_ptr", "gradient_factor", "is_skipped"),
    }
    | KEYWORDS
)
"""Names that kernels use for themselves."""

CONTROLS = ("gradient_factor", "is_skipped")
"""The first numbers of every matrix' scalars: what its gradient is multiplied by, and 1 where nothing may change."""
ROUNDING = {"rounding_ptr": "for the rounding of the parameter", "keys_ptr": "for its random bits"}
"""What a kernel that stores the parameter takes beside tensors."""


@dataclass
class KernelText:
    """The text of one kernel of a route, whose functions and arguments begin with `prefix`."""

    prefix: str
    kernel: Elementwise
    plan: LaunchPlan
    update: typed.Update
    rounds: bool

    def __post_init__(self) -> None:
        self.name = f"{self.prefix}_{self.kernel.name}_kernel"
        self.table = self.plan.program.table()
        taken = set(RESERVED)
        self.pointers = {tensor: free_name(f"{tensor}_ptr", taken) for tensor in self.kernel.tensors}
        self.numbers = {name: free_name(name, taken) for name in self._numbers()}
        parts = [each.tensor for each in self.kernel.partials]
        self.accumulators = {tensor: free_name(tensor.replace("_parts", ""), taken) for tensor in parts}
        self.expressions = Expressions(
            self.kernel,
            {scalar: self.numbers[name] for name, scalar in self.plan.scalars if name in self.numbers},
            self.pointers,
            taken,
            self.rounds,
        )
        self.place = {"tiles": "tile", "vector": "vector", "number": "matrix", "flat": "flat"}[self.kernel.domain]

    def text(self) -> str:
        """The kernel as a function of the module."""
        body = [f'"""{self._summary()}"""', *self._begin(), *self._work(), *self._end()]
        head = ["@jit", f"def {self.name}(", *(f"    {line}" for line in self._arguments("\n".join(body))), "):"]
        return "\n".join([*head, *(f"    {line}" if line else "" for line in body)])

    def _numbers(self) -> list[str]:
        """The scalars that the kernel reads, by their names in the plan."""
        read = {scalar for each in self.kernel.body for scalar in ir.scalars(each.operation)}
        return [name for name, scalar in self.plan.scalars if scalar in read]

    def _arguments(self, body: str) -> Iterator[str]:
        for tensor in self.kernel.tensors:
            yield f"{self.pointers[tensor]},  # {self._described(tensor)}"
        if stores_parameter(self.kernel):
            yield from (f"{name},  # {meaning}" for name, meaning in ROUNDING.items())
        yield "shapes_ptr,"
        yield "scalars_ptr,"
        is_loop = self.kernel.domain != "number"
        if is_loop:
            yield "programs_ptr,"
        formats = [
            name for name in ("PARAMETER", "COMPUTED", "GRADIENT", "ROUNDING") if re.search(rf"\b{name}\b", body)
        ]
        yield from (f"{name}: tl.constexpr," for name in [*formats, *(["IS_ALIGNED", "BLOCK"] if is_loop else [])])

    def _described(self, tensor: str) -> str:
        buffer = self.plan.buffer(tensor)
        if buffer is None:
            return (
                "any shape" if self.plan.program.route == "otherwise" else f"({shape_words(self._stored_dims(tensor))})"
            )
        if buffer.parts:
            return "(segments, other side)" if self._is_along(buffer.parts) else "one number for each program"
        dtype = buffer.dtype.fixed or ("mask" if buffer.dtype.is_mask else "")
        return f"({shape_words(buffer.dims)}){f', {dtype}' if dtype else ''}"

    def _is_along(self, reduction: ir.Reduce) -> bool:
        return reduction.axis is not None and self.table[reduction.operand].type.dims.is_matrix

    def _summary(self) -> str:
        rules = dict.fromkeys(origin.rule for origin in self.kernel.origins)
        over = {
            "tiles": "all matrices, tile by tile",
            "vector": "one vector of each matrix",
            "number": "one number for each matrix",
            "flat": "all parameters of any shape",
        }
        return f"{', '.join(rules) or 'Copies'}: {over[self.kernel.domain]}."

    # Before, inside and behind the loop

    def _begin(self) -> Iterator[str]:
        matrix = "matrix"
        if self.kernel.domain == "number":
            yield "matrix = tl.program_id(0)"
        else:
            function, side = "work_of", ""
            if self.is_square:
                function, side = "work_of_square", f'"{AXES[self.kernel.dims.row]}", '
            yield f'work = {function}(programs_ptr, shapes_ptr, {side}"{self.axis}", IS_ALIGNED)'
            matrix = "work.matrix"
        is_guarded = any(self.plan.buffer(access.tensor) is None for access in self.kernel.stores)
        reads_gradient = self._reads_gradient()
        if self.numbers or is_guarded or reads_gradient:
            yield f"scalars = scalars_ptr + {len(CONTROLS) + len(self.plan.scalars)} * {matrix}"
        if is_guarded:
            yield from ("is_skipped = tl.load(scalars + 1) != 0", "if is_skipped:", "    return")
        if reads_gradient:
            yield "gradient_factor = tl.load(scalars)"
        for place, (name, _) in enumerate(self.plan.scalars, len(CONTROLS)):
            if name in self.numbers:
                yield f"{self.numbers[name]} = tl.load(scalars + {place})"
        for access in self._loads_of_numbers():
            yield f"{self._loaded(access)} = {self._load_number(access, matrix)}"
        if self.kernel.domain == "number":
            return
        yield from self._printed(self.expressions.lines_before_loop(), Comments(self.update))
        size = "(BLOCK, BLOCK)" if self.kernel.domain == "tiles" else "(BLOCK,)"
        for partial in self.kernel.partials:
            nothing = KINDS[partial.reduction.function][1]
            zero = f"tl.zeros({size}, tl.float32)" if nothing == "0.0" else f"tl.full({size}, {nothing}, tl.float32)"
            yield f"{self.accumulators[partial.tensor]} = {zero}"

    def _work(self) -> Iterator[str]:
        if self.kernel.domain == "number":
            yield from self._elements()
            return
        yield "for index in range(work.begin, work.end):"
        yield from (f"    {line}" if line else "" for line in self._elements())

    def _elements(self) -> Iterator[str]:
        if self.place != "matrix":
            yield f"{self.place} = {self._place()}"
        numbers = set(self._loads_of_numbers())
        for access in self.kernel.loads:
            if access not in numbers and self.expressions.is_read(access.value):
                yield f"{self._loaded(access)} = {self._load(access)}"
        comments = Comments(self.update)
        yield from self._printed(self.expressions.lines(), comments)
        for partial in self.kernel.partials:
            yield from (each for each in comments.above(partial.definition.origin) if each)
            yield self._accumulate(partial)
        for access in self.kernel.stores:
            yield self._store(access)

    def _printed(self, lines: Iterator[Line], comments: Comments) -> Iterator[str]:
        for line in lines:
            yield from (each for each in comments.above(line.origin, line.note) if each)
            yield line.text

    def _end(self) -> Iterator[str]:
        for partial in self.kernel.partials:
            function = "store_along" if self.kernel.domain == "tiles" and partial.reduction.axis else "store_whole"
            kind = KINDS[partial.reduction.function][0]
            yield f'{function}({self.pointers[partial.tensor]}, work, {self.accumulators[partial.tensor]}, "{kind}")'

    @property
    def axis(self) -> str:
        """The axis along which a program goes on."""
        if self.kernel.domain == "vector":
            return AXES[self.kernel.dims.row]
        return "flat" if self.kernel.domain == "flat" else self.kernel.walk or "cols"

    @property
    def is_square(self) -> bool:
        return self.kernel.domain == "tiles" and self.kernel.dims != MATRIX

    def _place(self) -> str:
        if self.kernel.domain == "flat":
            return "flat_at(work, index, BLOCK, IS_ALIGNED)"
        return f"{self.place}_at(work, index, BLOCK)"

    def _accumulate(self, partial: Partial) -> str:
        value = self.expressions.part(partial.reduction.operand)
        kind, nothing = KINDS[partial.reduction.function]
        name = self.accumulators[partial.tensor]
        inside = {"tiles": "within", "vector": "within_vector", "flat": "within_flat"}[self.kernel.domain]
        value = f"{inside}({value}, {self.place}, {nothing})"
        return f"{name} += {value}" if kind == "sum" else f"{name} = {kind}imum({name}, {value})"

    # Loads and stores

    def _reads_gradient(self) -> bool:
        return any(each.tensor == "gradient" and self.expressions.is_read(each.value) for each in self.kernel.loads)

    def _loads_of_numbers(self) -> list[Access]:
        if self.kernel.domain == "number":
            return []
        return [access for access in self.kernel.loads if self._value_dims(access).is_number]

    def _loaded(self, access: Access) -> str:
        wish = self.table[access.value].name or access.tensor.replace("_parts", "")
        return self.expressions.named(access.value, wish)

    def _value_dims(self, access: Access) -> Dims:
        return self.table[access.value].type.dims

    def _parts_of(self, access: Access) -> ir.Reduce | None:
        buffer = self.plan.buffer(access.tensor)
        return buffer.parts if buffer else None

    def _load_number(self, access: Access, matrix: str) -> str:
        parts, pointer = self._parts_of(access), self.pointers[access.tensor]
        if parts:
            return f'load_whole({pointer}, {matrix}, "{KINDS[parts.function][0]}")'
        is_not_zero = " != 0" if self.table[access.value].type.dtype.is_mask else ""
        return f"load_scalar({pointer}, {matrix}, {self._dtype(access.tensor)}){is_not_zero}"

    def _load(self, access: Access) -> str:
        if self.kernel.domain == "number":
            return self._load_number(access, "matrix")
        if access.tensor == "gradient":
            loaded = f"gradient_factor * {self._load_block(access)}"
            return f"rounded({loaded}, COMPUTED)" if self.rounds else loaded
        # A condition is kept as 0 or 1.
        return self._load_block(access) + (" != 0" if self.table[access.value].type.dtype.is_mask else "")

    def _load_block(self, access: Access) -> str:
        pointer, dims, parts = self.pointers[access.tensor], self._value_dims(access), self._parts_of(access)
        if self.kernel.domain == "flat":
            return f"load_flat({pointer}, flat, {self._dtype(access.tensor)}, IS_ALIGNED)"
        if dims.is_vector:
            return self._load_vector(access, parts)
        dtype = self._dtype(access.tensor)
        if self.is_square or self._stored_dims(access.tensor) == MATRIX.oriented:
            return f"load_oriented({pointer}, tile, {dtype})"
        return f"load_tile({pointer}, tile, {dtype}, IS_ALIGNED)"

    def _load_vector(self, access: Access, parts: ir.Reduce | None) -> str:
        pointer, axis = self.pointers[access.tensor], self._axis_of(self._value_dims(access))
        if self.kernel.domain == "vector":
            if parts:
                return f'load_along({pointer}, vector, "{KINDS[parts.function][0]}")'
            return f"load_vector({pointer}, vector, {self._dtype(access.tensor)}, IS_ALIGNED)"
        if parts:
            side = f'load_along({pointer}, side_of(tile, "{axis}"), "{KINDS[parts.function][0]}")'
            return f'spread({side}, tile, "{axis}")'
        return f'load_spread({pointer}, tile, "{axis}", {self._dtype(access.tensor)}, IS_ALIGNED)'

    def _axis_of(self, dims: Dims) -> str:
        """The dimension along which a vector lies. In a square both have one length, and its place decides."""
        if self.is_square:
            return "cols" if dims.row == ONE else "rows"
        return AXES[dims.length]

    def _store(self, access: Access) -> str:
        pointer, value = self.pointers[access.tensor], self.expressions.part(access.value)
        dtype = self._dtype(access.tensor)
        if self.kernel.domain == "number":
            return f"store_scalar({pointer}, matrix, {value}, {dtype})"
        if access.tensor == "parameter":
            function = "store_parameter" if self.kernel.domain == "tiles" else "store_flat_parameter"
            tables = ", ".join([pointer, *ROUNDING])
            return f"{function}({tables}, {self.place}, {value}, {dtype}, ROUNDING, IS_ALIGNED)"
        if self.kernel.domain in ("flat", "vector"):
            return f"store_{self.place}({pointer}, {self.place}, {value}, {dtype}, IS_ALIGNED)"
        stored = self._stored_dims(access.tensor)
        if self.is_square or stored == MATRIX.oriented:
            return f"store_oriented({pointer}, tile, {value}, {dtype})"
        return f"store_tile({pointer}, tile, {value}, {dtype}, IS_ALIGNED)"

    def _dtype(self, tensor: str) -> str:
        buffer = self.plan.buffer(tensor)
        if buffer:
            return triton_dtype(buffer.dtype)
        if tensor == "gradient":
            return "GRADIENT"
        formats = {state.name: state.format for state in self.plan.program.states}
        fixed = formats.get(tensor)
        return triton_dtype(DType(fixed)) if fixed else "PARAMETER"

    def _stored_dims(self, tensor: str) -> Dims:
        buffer = self.plan.buffer(tensor)
        if buffer:
            return buffer.dims
        states: Mapping[str, Dims] = {state.name: state.type.dims for state in self.plan.program.states}
        return states.get(tensor, MATRIX)


def stores_parameter(kernel: Elementwise) -> bool:
    return any(access.tensor == "parameter" for access in kernel.stores)


def shape_words(dims: Dims) -> str:
    """`rows, cols`, `short, long`, `long`, `1, 1`: as a launch function names the shape of a tensor."""
    if dims.is_number:
        return "1, 1"
    return AXES[dims.length] if dims.is_vector else f"{AXES[dims.row]}, {AXES[dims.col]}"
