"""Which buffer holds each value: inside its reader, a new one, a view, or the place of a value that has died.

States and the parameter are written over only by what is stored in them at the end, and only when nothing reads the old
value any more. A conversion may yield the same memory where the formats are equal, so it counts as a view: this is the
difference between a correct update in place and an optimizer that overwrites its own momentum.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from muondsl.ir import program as ir
from muondsl.ir.types import SCALAR
from muondsl.schedule.group_kernels import is_product
from muondsl.schedule.plan import Copy, Fresh, Inline, InPlace, Placement, View

FIRST_OPERAND = (
    "lerp",
    "add_scaled",
    "+",
    "-",
    "*",
    "/",
    "sqrt",
    "abs",
    "exp",
    "log",
    "tanh",
    "floor",
    "sign",
)
"""Functions that torch can compute over their first operand."""

COMMUTATIVE = ("+", "*")


@dataclass
class Buffers:
    """Placements of all values but inputs, and what is left to copy at the end."""

    placements: dict[ir.Value, Placement] = field(default_factory=dict)
    copies: list[Copy] = field(default_factory=list)


def assign_buffers(program: ir.Program, order: list[list[ir.Definition]]) -> Buffers:
    """`order` are the definitions kernel by kernel, as they will run. No result may be another target's input."""
    return _Assigning(program, order).run()


class _Assigning:
    def __init__(self, program: ir.Program, order: list[list[ir.Definition]]) -> None:
        self.program = program
        self.table = program.table()
        self.uses = ir.uses(program)
        self.kernels = {each.value: number for number, kernel in enumerate(order) for each in kernel}
        self.sequence = [each for kernel in order for each in kernel]
        self.readers = {value: each for each in self.sequence for value in ir.operands(each.operation)}
        self.results = {result.value for result in program.results}
        self.done = Buffers()
        self.places: dict[ir.Value, int] = {}
        self.last_read: dict[ir.Value, int] = {}
        self.base: dict[ir.Value, ir.Value] = {}

    def run(self) -> Buffers:
        self._inline()
        self.places = {each.value: place for place, each in enumerate(self.sequence)}
        self._find_last_reads()
        stored = self._stored_in_place()
        for definition in self.sequence:
            if definition.value not in self.done.placements:
                self.done.placements[definition.value] = self._place(definition)
            self._share(definition.value)
        for result in self.program.results:
            if result.value not in stored and result.value in self.places:
                self.done.copies.append(Copy(result.target, result.value))
        return self.done

    def _inline(self) -> None:
        for definition in self.sequence:
            value = definition.value
            is_candidate = definition.name is None and self.uses[value] == 1 and value not in self.results
            if not is_candidate or is_product(definition) or isinstance(definition.operation, ir.Orient | ir.Choose):
                continue
            reader = self.readers[value]
            is_view = isinstance(definition.operation, ir.Transpose)
            if isinstance(reader.operation, ir.Orient | ir.Transpose):
                continue
            if is_view or self.kernels[reader.value] == self.kernels[value] or self._is_small(definition):
                self.done.placements[value] = Inline()

    def _is_small(self, definition: ir.Definition) -> bool:
        """A whole reduction or what is made of one: printing it inside its reader moves no work of weight."""
        return isinstance(definition.operation, ir.Reduce) or definition.type.dims == SCALAR

    def _effective(self, value: ir.Value) -> int:
        """The place at which a definition is printed."""
        while isinstance(self.done.placements.get(value), Inline):
            value = self.readers[value].value
        return self.places[value]

    def _find_last_reads(self) -> None:
        """What may be the same memory as a later value is read as long as that one is."""
        for definition in self.sequence:
            for value in ir.operands(definition.operation):
                place = self._effective(definition.value)
                self.last_read[value] = max(self.last_read.get(value, -1), place)
        for definition in reversed(self.sequence):
            if isinstance(definition.operation, ir.Convert | ir.Transpose | ir.Orient | ir.Choose):
                for value in ir.operands(definition.operation):
                    self.last_read[value] = max(self.last_read[value], self.last_read.get(definition.value, -1))

    def _stored_in_place(self) -> set[ir.Value]:
        """Values that are stored by having been computed over the state or parameter that they replace."""
        stored: set[ir.Value] = set()
        taken: set[ir.Value] = set()
        for result in self.program.results:
            chain = self._chain(result)
            if chain and not any(value in taken for value, _ in chain):
                for value, operand in chain:
                    self.done.placements[value] = InPlace(operand)
                    taken.add(value)
                stored.add(result.value)
            elif result.value in self.places:
                self.last_read[result.value] = len(self.sequence)
        return stored

    def _chain(self, result: ir.Result) -> list[tuple[ir.Value, ir.Value]]:
        """Definitions from the stored value back to the old one, each over its operand; empty if that is impossible."""
        chain: list[tuple[ir.Value, ir.Value]] = []
        value = result.value
        while value in self.places:
            if isinstance(self.done.placements.get(value), Inline):
                return []
            operand = next(iter(self._overwritable(self.table[value])), None)
            if operand is None:
                return []
            chain.append((value, operand))
            value = operand
        operation = self.table[value].operation
        assert isinstance(operation, ir.Input)
        return chain if result.target == operation.name else []

    def _overwritable(self, definition: ir.Definition) -> list[ir.Value]:
        """Operands over which the definition could be computed: of its shape and format, and dead behind it."""
        operation = definition.operation
        if not isinstance(operation, ir.Map) or operation.function not in FIRST_OPERAND:
            return []
        count = 2 if operation.function in COMMUTATIVE else 1
        candidates = [part for part in operation.operands[:count] if isinstance(part, str)]
        place = self.places[definition.value]
        return [
            value
            for value in candidates
            if self.table[value].type == definition.type
            and self.last_read[value] <= place
            and not isinstance(self.done.placements.get(value), Inline)
            and operation.operands.count(value) == 1
            and value not in self.results
        ]

    def _place(self, definition: ir.Definition) -> Placement:
        match definition.operation:
            case ir.Convert(operand) | ir.Transpose(operand) | ir.Orient(operand):
                return View(operand)
            case ir.Choose(_, then, _):
                return View(then)
        place = self.places[definition.value]
        for operand in self._overwritable(definition):
            if self._is_other_vector(definition, self.table[operand]):
                continue
            if self._is_free(self.base.get(operand, operand), place):
                return InPlace(operand)
        return Fresh()

    def _is_other_vector(self, definition: ir.Definition, operand: ir.Definition) -> bool:
        """A small value with a name of its own is not worth writing over one with another."""
        dims = definition.type.dims
        is_small = "1" in (dims.row.tall, dims.row.wide, dims.col.tall, dims.col.wide)
        has_names = definition.name is not None and operand.name is not None
        return is_small and has_names and definition.name != operand.name

    def _is_free(self, base: ir.Value, place: int) -> bool:
        """Whether a buffer belongs to the step alone and nothing that shares it is read behind `place`."""
        if isinstance(self.table[base].operation, ir.Input | ir.Choose):
            return False
        sharing = [value for value, owner in self.base.items() if owner == base]
        return all(self.last_read.get(value, -1) <= place for value in (base, *sharing))

    def _share(self, value: ir.Value) -> None:
        """Records whose memory a value lives in."""
        placement = self.done.placements[value]
        operation = self.table[value].operation
        owner = value  # also of a choice, whose memory may be that of either branch
        if isinstance(placement, Inline) and isinstance(operation, ir.Convert | ir.Transpose):
            owner = self.base.get(operation.operand, operation.operand)
        elif isinstance(placement, View | InPlace) and not isinstance(operation, ir.Choose):
            owner = self.base.get(placement.of, placement.of)
        self.base[value] = owner
