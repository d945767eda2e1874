"""Plans as text, kernel by kernel: what `muondsl show --stage plan` prints."""

from __future__ import annotations

from muondsl.ir.printer import print_operation
from muondsl.schedule.plan import Fresh, Inline, InPlace, Placement, Plan, UpdatePlan, View


def print_plan(plan: Plan) -> str:
    return "\n".join(print_update(update) for update in plan.updates())


def print_update(update: UpdatePlan) -> str:
    lines = [f"plan {update.program.route}: {len(update.kernels)} launches {{"]
    lines += [f"  host {each.name} = {each.scalar}" for each in update.host]
    for number, kernel in enumerate(update.kernels, 1):
        read = ", ".join(f"%{value}" for value in kernel.reads)
        written = ", ".join(f"%{value}" for value in kernel.writes)
        lines.append(f"  kernel {number} {kernel.kind}: reads {read}; writes {written}")
        for assignment in kernel.assignments:
            definition = assignment.definition
            place = _place(assignment.placement, assignment.name)
            lines.append(
                f"    %{definition.value}: {definition.type} {place} = {print_operation(definition.operation)}"
            )
    lines += [f"  copy %{copy.value} to {copy.target}" for copy in update.copies]
    return "\n".join([*lines, "}", ""])


def _place(placement: Placement, name: str) -> str:
    match placement:
        case Inline():
            return "inline"
        case Fresh():
            return f"in new `{name}`"
        case View(of):
            return f"in `{name}`, a view of %{of}"
        case InPlace(of):
            return f"in `{name}`, over %{of}"
