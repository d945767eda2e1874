"""What a result of an isolated stage depends on, from the program and not from numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from muondsl.ir import program as ir
from muondsl.ir import scalar as sc

if TYPE_CHECKING:
    from collections.abc import Iterator

    from muondsl.compare.isolate import Isolated


def definitions_behind(program: ir.Program, target: str) -> list[ir.Definition]:
    """The definitions that a result is made of, in their order."""
    needed = {result.value for result in program.results if result.target == target}
    found = []
    for definition in reversed(program.definitions):
        if definition.value in needed:
            needed |= set(ir.operands(definition.operation))
            found.append(definition)
    return found[::-1]


def inputs_read(isolated: Isolated, target: str) -> list[str]:
    """The names of the inputs behind a result: `update`, `parameter`, `gradient`, `previous`, states, exports."""
    found = []
    for definition in definitions_behind(isolated.program, target):
        if isinstance(definition.operation, ir.Input):
            role, name = definition.operation.role, definition.operation.name
            found.append(name if role == "state" else role)
    return found


def symbols_read(isolated: Isolated, target: str) -> list[sc.Symbol]:
    """The symbols in the scalars behind a result, each once."""
    return list(dict.fromkeys(_symbols(isolated.program, target)))


def _symbols(program: ir.Program, target: str) -> Iterator[sc.Symbol]:
    for definition in definitions_behind(program, target):
        for scalar in ir.scalars(definition.operation):
            yield from sc.symbols(scalar)


def is_changed(isolated: Isolated, target: str) -> bool:
    """Whether the stage makes something else of what it finds under this name."""
    (value,) = (result.value for result in isolated.program.results if result.target == target)
    operation = isolated.program.definition(value).operation
    return not (isinstance(operation, ir.Input) and operation.name == target)
