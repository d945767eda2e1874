"""What a step of an optimizer will run, as text: backends with their reasons, matrices with their forms, launches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from muondsl.runtime.addresses import StepMember, member_fold, table_names
from muondsl.runtime.amp import gradient_dtype
from muondsl.runtime.backend import Bucket, Choice, Numbered, architecture_of
from muondsl.runtime.batch import Batch
from muondsl.runtime.choose_products import Products, choose_products
from muondsl.runtime.launch import Launch
from muondsl.runtime.processor import this_processor
from muondsl.runtime.step_plan import Recipe, StepPlan, stand_ins
from muondsl.runtime.torch_path import FEWEST_STACKED, most_stacked
from muondsl.runtime.workspace import Arena

if TYPE_CHECKING:
    from muondsl.runtime.optimizer import SpecOptimizer


def describe(optimizer: SpecOptimizer) -> str:
    """One paragraph for each route, device and dtype, as if every parameter had a gradient.

    A parameter whose gradient lies in memory as no kernel can address it is listed with the torch path, if it has that
    gradient now.
    """
    paragraphs = [[f"{type(optimizer).__name__}  {optimizer.fingerprint}"]]
    for (route, device, dtype, gradients), found in _kinds(optimizer).items():
        title = f"{route}, {device}, {_word(dtype)}"
        title += f" with gradients in {_word(gradients)}" if gradients != dtype else ""
        choice = optimizer.backend.choice(optimizer, route, found[0][1])
        strange = [pair for pair in found if choice.backend == "triton" and _is_strange(optimizer, route, pair[1])]
        taken = [pair for pair in found if all(pair is not other for other in strange)]
        if strange:
            reason = "their gradients do not lie in two dimensions"
            paragraphs.append([_heading(title, strange, Choice("torch", reason))])
        if taken:
            paragraphs.append([_heading(title, taken, choice)])
        if taken and choice.backend == "triton":
            paragraphs[-1] += _plan(optimizer, route, device, taken)
        elif taken:
            paragraphs[-1] += _torch_path(optimizer, route, taken)
    return "\n\n".join("\n".join(lines) for lines in paragraphs)


def _kinds(optimizer: SpecOptimizer) -> dict[Bucket, Numbered]:
    kinds: dict[Bucket, Numbered] = {}
    for number, group in enumerate(optimizer.param_groups):
        for parameter in group["params"]:
            if parameter.numel():
                kind = (group["route"], parameter.device, parameter.dtype, gradient_dtype(parameter))
                kinds.setdefault(kind, []).append((number, parameter))
    return kinds


def _word(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _is_strange(optimizer: SpecOptimizer, route: str, parameter: Tensor) -> bool:
    if parameter.grad is None:
        return False
    if route == "matrix":
        view = optimizer.view_of(parameter)
        return any(view.blocks(each.shape, each.stride()) is None for each in (parameter, parameter.grad))
    found = optimizer.state.get(parameter, {})
    own = {each.name: found.get(each.name, parameter) for each in optimizer.states_of(route, parameter)}
    state = optimizer.precision.table_state(own, parameter)
    states = optimizer.precision.table_states(optimizer.states[route], parameter.dtype)
    return member_fold(StepMember(table_names(states), parameter, parameter.grad, state, 0), states) is None


def _heading(title: str, found: Numbered, choice: Choice) -> str:
    count = f"{len(found)} parameter{'s' if len(found) > 1 else ''}"
    return f"{title}: {count}, {choice.backend} ({choice.reason})"


def _plan(optimizer: SpecOptimizer, route: str, device: torch.device, found: Numbered) -> Iterator[str]:
    """Shapes, workspace, launches."""
    recipe = Recipe.of(
        optimizer,
        route,
        architecture_of(device),
        dtype=found[0][1].dtype,
        precision=optimizer.precision,
        n_groups=len(optimizer.param_groups),
    )
    members = [
        member
        for number, parameter in found
        for member in stand_ins(
            parameter, recipe.states, number, optimizer.view_of(parameter), is_matrix=recipe.is_matrix
        )
    ]
    plan = StepPlan(recipe, members, optimizer.backend.options.workspace)
    plan.build(members, torch.device("cpu"), Arena())
    batches = [batch for batch, _ in plan.batches]
    launches = [launch for batch in batches for launch in batch.launches]
    yield from _shapes(members, batches)
    yield f"  {_bytes(plan.needed)} of workspace, {len(batches)} batch{'es' if len(batches) > 1 else ''}"
    yield f"  {len(launches)} launches a step:"
    yield from _launches(launches)


def _torch_path(optimizer: SpecOptimizer, route: str, found: Numbered) -> Iterator[str]:
    """How iterations are multiplied by torch, shape by shape, and on a CPU what is stepped together."""
    device, dtype = found[0][1].device, found[0][1].dtype
    matrices = Counter(
        (matrix, most_stacked(optimizer, route, parameter))
        for _, parameter in found
        for matrix in optimizer.matrices_of(route, parameter)
    )
    for (matrix, stacked), count in matrices.items():
        parts = [f"{count} of {' × '.join(map(str, matrix))}"]
        for iteration in optimizer.iterations.get(route, ()):
            own = iteration.computed_dtype(dtype)
            parts.append(_multiplied(choose_products(iteration, min(matrix), max(matrix), own, device), own))
        if stacked > 1 and count >= FEWEST_STACKED:
            parts.append(f"stacks of up to {min(count, stacked)}")
        if len(parts) > 1:
            yield "  " + "  ".join(parts)
    if device.type == "cpu" and route in optimizer.iterations:
        processor = this_processor()
        yield f"  chosen by {'measured' if processor.is_measured else 'usual'} rates of {processor.name}"
    if device.type == "cpu" and len(found) > 1:
        workspace = optimizer.backend.options.workspace
        bound = "" if workspace is None else f", in {_bytes(workspace)} of workspace"
        yield f"  side by side on as many as {torch.get_num_threads()} threads{bound}"


def _multiplied(products: Products, dtype: torch.dtype) -> str:
    """In the words of a form: gram in bfloat16, by products in float32, symmetric ones in panels of 192 rows."""
    words = [f"{products.form} in {_word(dtype)}"]
    if products.dtype != dtype:
        words.append(f"by products in {_word(products.dtype)}")
    if panels := sorted({products.outer_panel, products.square_panel} - {0}):
        words.append(f"symmetric ones in panels of {' and '.join(map(str, panels))} rows")
    return ", ".join(words)


def _shapes(members: Sequence[StepMember], batches: Sequence[Batch]) -> Iterator[str]:
    iterations = batches[0].iterations
    for shape, count in Counter(tuple(member.shape) for member in members).items():
        forms = [iteration.form(*sorted(shape)) for iteration in iterations] if len(shape) == 2 else []
        yield "  " + "  ".join([f"{count} of {' × '.join(map(str, shape)) or 'one number'}", *forms])


def _launches(launches: Sequence[Launch]) -> Iterator[str]:
    for launch in launches:
        options = [f"{name}={value}" for name, value in launch.constants.items()]
        words = [f"{launch.grid} programs", f"{launch.warps} warps", f"{launch.stages} stages", *options]
        yield f"    {launch.name}: {', '.join(words)}"


def _bytes(size: float) -> str:
    for unit in ("bytes", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.4g} {unit}"
        size /= 1024
    return f"{size:.4g} GiB"
