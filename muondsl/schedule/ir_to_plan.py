"""A tensor program in, the plan of its execution out."""

from __future__ import annotations

from muondsl.ir import program as ir
from muondsl.ir.scalar import symbols
from muondsl.schedule.assign_buffers import assign_buffers
from muondsl.schedule.choose_names import choose_names, host_scalars
from muondsl.schedule.group_kernels import group_kernels, is_product, is_view
from muondsl.schedule.launches import LaunchPlan
from muondsl.schedule.plan import Assignment, Kernel, KernelKind, Plan, UpdatePlan
from muondsl.schedule.program_to_launches import NotPlanned, plan_launches


def schedule(step: ir.Step) -> Plan:
    """The plan of both routes."""
    matrix, *rest = (plan_update(program) for program in step.programs())
    return Plan(matrix, rest[0] if rest else None)


def schedule_launches(step: ir.Step, *, is_faithful: bool) -> tuple[LaunchPlan, ...]:
    """The launches of both routes on a GPU; none for a spec that computes in fp64."""
    try:
        return tuple(plan_launches(program, is_faithful=is_faithful) for program in step.programs())
    except NotPlanned:
        return ()


def plan_update(program: ir.Program) -> UpdatePlan:
    order = group_kernels(program)
    buffers = assign_buffers(program, order)
    host = host_scalars(program)
    hypers = {
        symbol.name for each in program.definitions for part in ir.scalars(each.operation) for symbol in symbols(part)
    }
    names = choose_names(program, order, buffers, hypers | {each.name for each in host})
    kernels = []
    for definitions in order:
        assignments = tuple(
            Assignment(each, buffers.placements[each.value], names.get(each.value, "")) for each in definitions
        )
        kernels.append(_kernel(definitions, assignments, program))
    return UpdatePlan(program, host, tuple(kernels), tuple(buffers.copies))


def _kernel(definitions: list[ir.Definition], assignments: tuple[Assignment, ...], program: ir.Program) -> Kernel:
    inside = {each.value for each in definitions}
    read = dict.fromkeys(value for each in definitions for value in ir.operands(each.operation) if value not in inside)
    outside = {
        value for each in program.definitions if each.value not in inside for value in ir.operands(each.operation)
    }
    needed = outside | {result.value for result in program.results}
    writes = tuple(each.value for each in definitions if each.value in needed and not is_view(each))
    kind: KernelKind = "product" if any(is_product(each) for each in definitions) else "elementwise"
    if any(isinstance(each.operation, ir.Whole) for each in definitions):
        kind = "whole"
    return Kernel(kind, assignments, tuple(read), writes)
