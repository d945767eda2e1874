"""Plans as text, kernel by kernel: what `muondsl show --stage plan` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from muondsl.ir.printer import print_operation
from muondsl.schedule.launches import Elementwise, Iterate, Product
from muondsl.schedule.plan import Fresh, Inline, InPlace, Placement, Plan, UpdatePlan, View

if TYPE_CHECKING:
    from collections.abc import Iterator

    from muondsl.schedule.launches import Launch, LaunchPlan


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


def print_launches(plan: LaunchPlan) -> str:
    """The launches of a step, one for all matrices each, and the tensors between them."""
    lines = [f"launches {plan.program.route} {{"]
    lines += [f"  named {each.name} = {each.scalar}" for each in plan.named]
    lines += [f"  scalar {name} = {scalar}" for name, scalar in plan.scalars]
    for buffer in plan.buffers:
        of = f"parts of {buffer.parts.function} over {buffer.parts.axis or 'all'}" if buffer.parts else buffer.dtype
        lines.append(f"  buffer `{buffer.name}`: {of} {buffer.dims}")
    for launch in plan.launches:
        lines += _launch_lines(launch)
    return "\n".join([*lines, "}", ""])


def _launch_lines(launch: Launch) -> Iterator[str]:
    match launch:
        case Elementwise():
            walk = f", along {launch.walk}" if launch.walk else ""
            yield f"  {launch.name}: {launch.domain} {launch.dims}{walk}"
            yield from (f"    load %{access.value} from `{access.tensor}`" for access in launch.loads)
            yield from (f"    %{each.value} = {print_operation(each.operation)}" for each in launch.body)
            yield from (f"    store %{access.value} to `{access.tensor}`" for access in launch.stores)
            yield from (f"    begin %{each.definition.value} in `{each.tensor}`" for each in launch.partials)
        case Product():
            operands = " @ ".join(
                f"`{each.tensor}`{chr(39) * each.is_transposed}" for each in (launch.left, launch.right)
            )
            kind = "symmetric product" if launch.is_symmetric else "product"
            addend = f" + {launch.beta} * `{launch.addend}`" if launch.addend else ""
            yield f"  {kind}: `{launch.result}` = {launch.alpha} * {operands}{addend}"
        case Iterate():
            divisor = f" / `{launch.divisor}`" if launch.divisor else ""
            count = len(launch.quintic.coefficients)
            yield f"  iteration: `{launch.result}` = {count} steps from `{launch.source}`{divisor}"
