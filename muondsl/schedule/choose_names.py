"""Python names of values and of host scalars: the spec's own, with a number only where two are needed at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from muondsl.ir import program as ir
from muondsl.ir import scalar as sc
from muondsl.ir.reserved import KEYWORDS, LOCALS
from muondsl.schedule.plan import HostScalar, Inline, InPlace

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from muondsl.schedule.assign_buffers import Buffers


def host_scalars(program: ir.Program) -> tuple[HostScalar, ...]:
    """The named scalars of a program, each behind those it is made of."""
    found: dict[str, sc.Scalar] = {}
    for definition in program.definitions:
        for scalar in ir.scalars(definition.operation):
            for part in sc.named(scalar):
                found.setdefault(part.name, part.value)
    return tuple(HostScalar(name, value) for name, value in found.items())


def choose_names(
    program: ir.Program, order: list[list[ir.Definition]], buffers: Buffers, reserved: Iterable[str]
) -> dict[ir.Value, str]:
    """A name for every value that has a buffer. `reserved` are the names of the host's scalars and the hypers."""
    sequence = [each for kernel in order for each in kernel]
    inputs = ((each.value, each.operation) for each in program.definitions)
    names = {value: operation.name for value, operation in inputs if isinstance(operation, ir.Input)}
    fixed = LOCALS | KEYWORDS | set(reserved) | set(names.values())
    alive_until = _lifetimes(sequence, buffers, program)
    holder: dict[str, ir.Value] = {}
    for place, definition in enumerate(sequence):
        placement = buffers.placements[definition.value]
        if isinstance(placement, Inline):
            continue
        wish = wished_name(definition, sequence)
        if isinstance(placement, InPlace) and (names[placement.of] in fixed or names[placement.of] == wish):
            name = names[placement.of]
        else:
            name = _free_name(wish, place, fixed, holder, alive_until)
        names[definition.value] = name
        holder[name] = definition.value
    return names


def _free_name(
    wish: str, place: int, fixed: frozenset[str], holder: dict[str, ir.Value], alive_until: dict[ir.Value, int]
) -> str:
    wish = f"value{wish}" if wish.startswith("__") else wish
    name, number = wish, 1
    while name in fixed or (name in holder and alive_until.get(holder[name], -1) > place):
        number += 1
        name = f"new_{wish}" if number == 2 and wish in fixed else f"{wish}_{number}"
    return name


def wished_name(definition: ir.Definition, sequence: Sequence[ir.Definition]) -> str:
    """The spec's name, or that of the first named value of the same size made from this one, or the operation's."""
    if definition.name is not None:
        return definition.name
    made_of = {definition.value}
    for later in sequence:
        is_same_size = later.type.dims in (definition.type.dims, definition.type.dims.oriented)
        if is_same_size and made_of & set(ir.operands(later.operation)):
            if later.name is not None:
                return later.name
            made_of.add(later.value)
    return definition.value.replace(".", "_")


def _lifetimes(sequence: list[ir.Definition], buffers: Buffers, program: ir.Program) -> dict[ir.Value, int]:
    """The last place at which a value, or something printed inside its reader, is read."""
    places = {each.value: place for place, each in enumerate(sequence)}
    last: dict[ir.Value, int] = {}
    for definition in reversed(sequence):
        is_inline = isinstance(buffers.placements[definition.value], Inline)
        place = last[definition.value] if is_inline else places[definition.value]
        for value in ir.operands(definition.operation):
            last[value] = max(last.get(value, -1), place)
    for definition in reversed(sequence):
        placement = buffers.placements[definition.value]
        if isinstance(placement, InPlace):
            last[placement.of] = max(last.get(placement.of, -1), last.get(definition.value, -1))
    for copy in buffers.copies:
        last[copy.value] = len(sequence)
    return last
