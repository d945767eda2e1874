"""Which definitions share a kernel.

A matrix product is a kernel, and so is a function of matrices as wholes. Elementwise work and reductions go together as
far as no value is needed that exists only when an earlier kernel has ended: a product's result, or a reduction's. Work
that reads nothing but inputs runs as late as its readers allow, so that the parameter is not read and written twice.
"""

from __future__ import annotations

from collections import defaultdict

from muondsl.ir import program as ir

Group = tuple[int, int]
"""Level, and 0 for the elementwise kernel of the level or the place of a product."""


def group_kernels(program: ir.Program) -> list[list[ir.Definition]]:
    """The definitions, inputs apart, kernel by kernel in an order in which they can run."""
    table = program.table()
    levels = _earliest(program, table)
    _sink(program, table, levels)
    places = _groups(program, levels)
    groups: dict[Group, list[ir.Definition]] = defaultdict(list)
    for definition in program.definitions:
        if not isinstance(definition.operation, ir.Input):
            groups[places[definition.value]].append(definition)
    return [_views_first(groups[key]) for key in sorted(groups)]


def _views_first(kernel: list[ir.Definition]) -> list[ir.Definition]:
    """Views of what earlier kernels made stand before the work on them."""
    inside = {definition.value for definition in kernel}

    def is_work(definition: ir.Definition) -> bool:
        return not is_view(definition) or ir.operands(definition.operation)[0] in inside

    return sorted(kernel, key=is_work)


def _groups(program: ir.Program, levels: dict[ir.Value, int]) -> dict[ir.Value, Group]:
    """A view belongs to the first kernel that reads it."""
    places: dict[ir.Value, Group] = {}
    readers = _readers(program)
    for place, definition in reversed(list(enumerate(program.definitions))):
        value = definition.value
        places[value] = (levels[value], place + 1 if is_product(definition) else 0)
        if is_view(definition) and readers[value]:
            places[value] = min(places[reader.value] for reader in readers[value])
    return places


def _readers(program: ir.Program) -> dict[ir.Value, list[ir.Definition]]:
    readers: dict[ir.Value, list[ir.Definition]] = defaultdict(list)
    for definition in program.definitions:
        for value in ir.operands(definition.operation):
            readers[value].append(definition)
    return readers


def is_product(definition: ir.Definition) -> bool:
    """Whether the definition is a kernel of its own: a product, or what a library computes."""
    return isinstance(definition.operation, ir.MatMul | ir.Gemm | ir.Quintic | ir.Whole)


def is_view(definition: ir.Definition) -> bool:
    return isinstance(definition.operation, ir.Transpose | ir.Orient)


def _ends_kernel(definition: ir.Definition) -> bool:
    """Whether the value is complete only when its kernel has ended."""
    return is_product(definition) or isinstance(definition.operation, ir.Reduce)


def _earliest(program: ir.Program, table: dict[ir.Value, ir.Definition]) -> dict[ir.Value, int]:
    levels: dict[ir.Value, int] = {}
    completes: dict[ir.Value, bool] = {}
    for definition in program.definitions:
        read = [table[value] for value in ir.operands(definition.operation)]
        after = [levels[each.value] + completes[each.value] for each in read]
        level = max(after, default=0)
        if is_product(definition):
            level = max((levels[each.value] + 1 for each in read if not _is_input(each, table)), default=0)
        levels[definition.value] = level
        passes_on = is_view(definition) and completes[read[0].value]
        completes[definition.value] = _ends_kernel(definition) or passes_on
    return levels


def _is_input(definition: ir.Definition, table: dict[ir.Value, ir.Definition]) -> bool:
    if is_view(definition):
        return _is_input(table[ir.operands(definition.operation)[0]], table)
    return isinstance(definition.operation, ir.Input)


def _sink(program: ir.Program, table: dict[ir.Value, ir.Definition], levels: dict[ir.Value, int]) -> None:
    readers = _readers(program)
    for definition in reversed(program.definitions):
        is_free = isinstance(definition.operation, ir.Map | ir.Convert) and all(
            isinstance(table[value].operation, ir.Input) for value in ir.operands(definition.operation)
        )
        if is_free and readers[definition.value]:
            limits = [levels[each.value] - is_product(each) for each in readers[definition.value]]
            levels[definition.value] = max(levels[definition.value], min(limits))
