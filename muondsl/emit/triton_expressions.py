"""What a kernel computes for each element, as Triton statements. Values are in fp32 from load to store."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from muondsl.emit.python_scalar import ATOM, to_python
from muondsl.ir import program as ir
from muondsl.ir import scalar as sc
from muondsl.schedule.places import is_square

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from muondsl.ir.types import DType
    from muondsl.schedule.launches import Elementwise

CONDITION, COMPARISON, SUM, PRODUCT, NEGATIVE = 3, 4, 5, 6, 7
INFIX = {"+": SUM, "-": SUM, "*": PRODUCT, "/": PRODUCT, **dict.fromkeys(sc.COMPARISONS, COMPARISON)}
MASKS = {"and": "&", "or": "|"}
CALLS = {
    "**": "power",
    "abs": "tl.abs",
    "exp": "tl.exp",
    "floor": "tl.floor",
    "if": "tl.where",
    "lerp": "lerp",
    "log": "tl.log",
    "max": "maximum",
    "min": "minimum",
    "sign": "sign",
    "sqrt": "tl.sqrt",
    "tanh": "tanh",
}
FORMATS = {"bf16": "tl.bfloat16", "fp16": "tl.float16", "fp32": "tl.float32"}


def triton_dtype(dtype: DType) -> str:
    """The format in which a value of the type is kept. What is as wide as two formats together is kept in fp32."""
    if dtype.is_mask:
        return "tl.int8"
    if dtype.fixed is None:
        return "COMPUTED"
    return "tl.float32" if dtype.follows_parameter else FORMATS[dtype.fixed]


@dataclass(frozen=True)
class Line:
    """A statement and where in the spec it comes from; `note` says what it is for where it is no step of the spec."""

    text: str
    origin: ir.Origin
    note: str = ""


@dataclass
class Expressions:
    """The body of a kernel. `scalars` are the names of its numbers, `pointers` those of its tensors' tables. Where
    `rounds`, every value is rounded to its format, as in `faithful` numerics; otherwise conversions to 16 bits and
    stores round. Names in `reserved` are given to no value.
    """

    kernel: Elementwise
    scalars: Mapping[sc.Scalar, str]
    pointers: Mapping[str, str]
    reserved: set[str]
    rounds: bool
    names: dict[ir.Value, str] = field(default_factory=dict)
    holders: dict[str, ir.Value] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.table = {each.value: each for each in self.kernel.body}
        work = [each for each in self.kernel.body if not self._is_alias(each)]
        # A transposed square is loaded where it is read: in its own places nothing of it is.
        readers = [each for each in work if not isinstance(each.operation, ir.Transpose)]
        self.reads = Counter(self._base(value) for each in readers for value in ir.operands(each.operation))
        self.reduced = [self._base(partial.reduction.operand) for partial in self.kernel.partials]
        self.reads.update(self.reduced)
        self.kept = {self._base(access.value) for access in self.kernel.stores}
        self.last_line = self._last_lines()

    def named(self, value: ir.Value, wish: str, place: int = -1) -> str:
        """Gives a value the name it wishes, or one with a number while another value needs that."""
        name, number = wish, 1
        while name in self.reserved or self.last_line.get(self.holders.get(name, ""), -2) > place:
            number += 1
            name = f"{wish}_{number}"
        self.names[value] = name
        self.holders[name] = value
        return name

    def lines_before_loop(self) -> Iterator[Line]:
        """What is one number for all blocks, computed once. Its names are those of nothing in the loop."""
        yield from self._lines(lambda definition: definition.type.dims.is_number)
        self.reserved |= set(self.names.values())

    def lines(self) -> Iterator[Line]:
        yield from self._lines(lambda definition: definition.value not in self.names)

    def _lines(self, is_wanted: Callable[[ir.Definition], bool]) -> Iterator[Line]:
        for place, definition in enumerate(self.kernel.body):
            if self._is_alias(definition) or self._is_inline(definition) or not is_wanted(definition):
                continue
            text, _ = self._print(definition)
            name = self.named(definition.value, definition.name or self._wish(place), place)
            yield Line(f"{name} = {text}", definition.origin, note(definition))

    def is_read(self, value: ir.Value) -> bool:
        """Whether the kernel needs the value at its own places."""
        return self.reads[value] > 0 or value in self.kept

    def _is_alias(self, definition: ir.Definition) -> bool:
        """Whether the value is its operand: tiles are in the matrix's own orientation, and in fp32."""
        match definition.operation:
            case ir.Orient():
                return True
            case ir.Transpose():
                return not is_square(definition.type.dims)
            case ir.Convert() | ir.Map("copy", _):
                return not self._rounding(definition)
            case _:
                return False

    def _base(self, value: ir.Value) -> ir.Value:
        definition = self.table.get(value)
        if definition is not None and self._is_alias(definition):
            return self._base(ir.operands(definition.operation)[0])
        return value

    def _is_inline(self, definition: ir.Definition) -> bool:
        value = definition.value
        return definition.name is None and self.reads[value] == 1 and value not in self.kept

    def _last_lines(self) -> dict[ir.Value, float]:
        """The number of the last line that reads each value; those that the kernel stores are read at the end."""
        last: dict[ir.Value, float] = dict.fromkeys([*self.kept, *self.reduced], float("inf"))
        for place, definition in reversed(list(enumerate(self.kernel.body))):
            if self._is_alias(definition):
                continue
            line = last.get(definition.value, place) if self._is_inline(definition) else place
            for value in map(self._base, ir.operands(definition.operation)):
                last[value] = max(last.get(value, -1), line)
        return last

    def _wish(self, place: int) -> str:
        """For a value without a name of its own, that of the first one that is made of it."""
        first = self.kernel.body[place]
        made_of = {first.value}
        for later in self.kernel.body[place + 1 :]:
            if made_of & set(ir.operands(later.operation)) and later.type.dims == first.type.dims:
                if later.name is not None:
                    return later.name
                made_of.add(later.value)
        return first.value.split(".")[0]

    def _rounding(self, definition: ir.Definition) -> str:
        """The format to which the value is rounded in registers, if it is."""
        dtype = definition.type.dtype
        is_narrow = dtype.fixed in ("bf16", "fp16") and not dtype.follows_parameter
        follows = dtype.fixed is None and not dtype.is_mask
        is_rounded = (
            (is_narrow or follows) if self.rounds else (is_narrow and isinstance(definition.operation, ir.Convert))
        )
        return triton_dtype(dtype) if is_rounded else ""

    def part(self, part: ir.Value | sc.Scalar, around: int = 0) -> str:
        """An operand as it stands in an expression of precedence `around`."""
        if not isinstance(part, str):
            return self.scalars[part] if part in self.scalars else to_python(part, around=around)
        value = self._base(part)
        if value in self.names:
            return self.names[value]
        text, own = self._print(self.table[value])
        return text if own >= around else f"({text})"

    def _print(self, definition: ir.Definition) -> tuple[str, int]:
        text, own = self._operation(definition)
        rounding = self._rounding(definition)
        return (f"rounded({text}, {rounding})", ATOM) if rounding else (text, own)

    def _operation(self, definition: ir.Definition) -> tuple[str, int]:
        match definition.operation:
            case ir.Map(function, parts):
                return self._map(function, parts)
            case ir.Convert(operand):
                return self.part(operand), 0
            case ir.Choose(condition, then, otherwise):
                return f"tl.where({self._argument(condition)}, {self.part(then)}, {self.part(otherwise)})", ATOM
            case ir.Transpose(operand):
                tensor = next(access.tensor for access in self.kernel.loads if access.value == operand)
                dtype = definition.type.dtype
                text = f"load_transposed({self.pointers[tensor]}, tile, {triton_dtype(dtype)})"
                return (f"({text} != 0)" if dtype.is_mask else text), ATOM
            case _:
                raise AssertionError(f"not elementwise: {definition}")

    def _map(self, function: str, parts: tuple[ir.Value | sc.Scalar, ...]) -> tuple[str, int]:
        if function == "-" and len(parts) == 1:
            return f"-{self.part(parts[0], NEGATIVE)}", NEGATIVE
        if function in INFIX:
            own = INFIX[function]
            left = own + 1 if own == COMPARISON else own
            return f"{self.part(parts[0], left)} {function} {self.part(parts[1], own + 1)}", own
        if function in MASKS:
            return f" {MASKS[function]} ".join(self._argument(part, ATOM) for part in parts), CONDITION
        if function == "not":
            return f"~{self._argument(parts[0], ATOM)}", NEGATIVE
        if function == "add_scaled":
            return (
                f"{self.part(parts[0], SUM)} + {self.part(parts[2], PRODUCT)} * {self.part(parts[1], PRODUCT + 1)}",
                SUM,
            )
        if function == "full":
            return f"tl.zeros_like({self.part(parts[1])}) + {self._argument(parts[0], SUM + 1)}", SUM
        if function == "copy":
            return self.part(parts[0]), 0
        if function in ("min", "max"):
            text = self._argument(parts[0])
            for part in parts[1:]:
                text = f"{CALLS[function]}({text}, {self._argument(part)})"
            return text, ATOM
        return f"{CALLS[function]}({', '.join(self._argument(part) for part in parts)})", ATOM

    def _argument(self, part: ir.Value | sc.Scalar, around: int = 0) -> str:
        """An operand where its type matters: a whole number is one of fp32, and a condition of the host's, which is
        kept as a number, a condition.
        """
        text = self.part(part, around)
        if isinstance(part, str) or part not in self.scalars:
            return f"{text}.0" if text.removeprefix("-").isdigit() else text
        if not sc.is_condition(part):
            return text
        return f"{text} != 0" if around <= COMPARISON else f"({text} != 0)"


def note(definition: ir.Definition) -> str:
    """What a line is for that is no step of the spec."""
    if isinstance(definition.operation, ir.Convert) and definition.name is None:
        return f"In {definition.type.dtype.fixed or 'the format of the parameter'}."
    return ""
