"""Two stages as they are written: whether they are one program, and the formulas that only one of them has."""

from __future__ import annotations

from dataclasses import replace
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

from muondsl.compare.isolate import Isolated, without_formats
from muondsl.emit.mathematics import stage_mathematics
from muondsl.ir import program as ir
from muondsl.lower import canonical

if TYPE_CHECKING:
    from collections.abc import Sequence


def program_text(isolated: Isolated) -> str:
    """The stage's program. Two stages with the same text compute the same, operation by operation."""
    return canonical(isolated.program)


def nameless_text(isolated: Isolated) -> str:
    """The same for stages that differ in the names of their states alone."""
    program = isolated.program
    names = {name: f"state {place}" for place, name in enumerate(isolated.kept)}
    definitions = tuple(replace(each, operation=_renamed(each.operation, names)) for each in program.definitions)
    states = tuple(replace(state, name=names.get(state.name, state.name)) for state in program.states)
    results = tuple(replace(each, target=names.get(each.target, each.target)) for each in program.results)
    return canonical(replace(program, definitions=definitions, states=states, results=results))


def _renamed(operation: ir.Operation, names: dict[str, str]) -> ir.Operation:
    if isinstance(operation, ir.Input) and operation.name in names:
        return replace(operation, name=names[operation.name])
    return operation


def formulas(isolated: Isolated) -> list[str]:
    """The statements of a stage as mathematics, with its rules written out; without its states and number formats."""
    return stage_mathematics(without_formats(isolated.stage))


def unlike(a: Sequence[str], b: Sequence[str]) -> tuple[list[str], list[str]]:
    """The lines of each that are not in the other in this order. Alike when A and B change places."""
    is_turned = (len(a), list(a)) > (len(b), list(b))
    first, second = (b, a) if is_turned else (a, b)
    operations = SequenceMatcher(None, first, second, autojunk=False).get_opcodes()
    only_first = [line for tag, i, j, _, _ in operations if tag != "equal" for line in first[i:j]]
    only_second = [line for tag, _, _, i, j in operations if tag != "equal" for line in second[i:j]]
    return (only_second, only_first) if is_turned else (only_first, only_second)
