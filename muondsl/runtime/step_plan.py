"""The batches in which members of one route, device and dtype are stepped, one after the other in the same memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from muondsl.runtime.addresses import AddressTables, StepMember, matrix_blocks, table_names
from muondsl.runtime.amp import Scaling, gradient_dtype
from muondsl.runtime.batch import Batch, LaunchFunction
from muondsl.runtime.declarations import Hyper, State
from muondsl.runtime.launch import Launch
from muondsl.runtime.numbers import Numbers
from muondsl.runtime.precision import AS_STORED, Formats, Precision
from muondsl.runtime.views import PLAIN_VIEW, View
from muondsl.runtime.workspace import Arena

if TYPE_CHECKING:
    from muondsl.runtime.optimizer import SpecOptimizer

MEASURED = torch.device("meta")


@dataclass(frozen=True, slots=True)
class Recipe:
    """What all batches of parameters of one route and dtype have in common. `seed`: of their random rounding."""

    launch: LaunchFunction
    states: Sequence[State]
    formats: Formats
    hypers: Sequence[Hyper]
    is_matrix: bool
    counts_steps: bool
    seed: int | None
    capturable: bool
    n_groups: int
    architecture: str

    @classmethod
    def of(
        cls,
        optimizer: SpecOptimizer | type[SpecOptimizer],
        route: str,
        architecture: str,
        *,
        dtype: torch.dtype = torch.float32,
        precision: Precision = AS_STORED,
        n_groups: int = 1,
        capturable: bool = False,
    ) -> Recipe:
        is_random = precision.rounds_at_random(dtype)
        return cls(
            launch=optimizer.launches[route],
            states=precision.table_states(optimizer.states[route], dtype),
            formats=precision.formats(dtype),
            hypers=optimizer.hypers,
            is_matrix=route == "matrix",
            counts_steps=route in optimizer.counts_steps or is_random,
            seed=precision.seed if is_random else None,
            capturable=capturable,
            n_groups=n_groups,
            architecture=architecture,
        )

    def batch(self, members: Sequence[StepMember], device: torch.device, arena: Arena) -> tuple[Batch, Numbers]:
        """A batch with its launches; on the device `meta` only its workspaces are measured."""
        tables = AddressTables(
            members, self.states, is_matrix=self.is_matrix, device=device, capturable=self.capturable
        )
        numbers = Numbers(
            members,
            self.hypers,
            n_groups=self.n_groups,
            device=device,
            counts_steps=self.counts_steps,
            capturable=self.capturable,
            seed=self.seed,
        )
        batch = Batch(members, tables, numbers, arena, self.formats, self.architecture)
        self.launch(batch)
        return batch, numbers


class StepPlan:
    """Members cut into consecutive batches, each with no more workspace than the bound.

    `needed` is the size of the arena that all of them share. Raises RuntimeError for a member that alone needs more
    than the bound.
    """

    def __init__(self, recipe: Recipe, members: Sequence[StepMember], bound: int | None) -> None:
        self.recipe = recipe
        measured, _ = recipe.batch(members, MEASURED, Arena())
        self.cuts = [0]
        sizes = [0]
        for index, (size, shape) in enumerate(zip(measured.taken, measured.shapes, strict=True)):
            if bound is not None and size > bound:
                raise RuntimeError(
                    f"a matrix of {shape[0]} × {shape[1]} needs {size} bytes of workspace, but workspace is {bound}"
                )
            if bound is not None and sizes[-1] + size > bound:
                self.cuts.append(index)
                sizes.append(0)
            sizes[-1] += size
        self.cuts.append(len(members))
        self.needed = max(sizes)
        self.arena: Arena | None = None
        self.batches: list[tuple[Batch, Numbers]] = []

    def build(self, members: Sequence[StepMember], device: torch.device, arena: Arena) -> None:
        """Makes the launches, whose workspaces lie in this arena."""
        self.arena = arena
        self.batches = []
        for begin, end in zip(self.cuts, self.cuts[1:], strict=False):
            arena.used = 0
            self.batches.append(self.recipe.batch(members[begin:end], device, arena))

    def run(self, members: Sequence[StepMember], groups: Sequence[Mapping[str, Any]], scaling: Scaling) -> None:
        """Steps the members, which are those of the plan with their tensors of this step."""
        if self.recipe.counts_steps:
            steps = {id(step): step for step in (member.state["step"] for member in members)}
            counted = scaling.counted(members[0].parameter.device)
            # torch would have the host read one tensor for all of them.
            each = [counted] * len(steps) if isinstance(counted, Tensor) else counted
            torch._foreach_add_(list(steps.values()), each)
        for (batch, numbers), begin, end in zip(self.batches, self.cuts, self.cuts[1:], strict=False):
            batch.tables.refresh(members[begin:end])
            numbers.refresh(members[begin:end], groups, scaling)
            batch.run()


def stand_ins(
    parameter: Tensor, states: Sequence[State], group: int, view: View = PLAIN_VIEW, *, is_matrix: bool = True
) -> list[StepMember]:
    """Members without memory: what a parameter of this shape and dtype has in a step, contiguous and aligned."""
    alone = torch.empty(parameter.shape, dtype=parameter.dtype, device="meta")
    gradient = torch.empty(parameter.shape, dtype=gradient_dtype(parameter), device="meta")
    matrices = view.shapes(parameter.shape) if is_matrix else ()
    state = {each.name: each.create(alone, gradient, matrices) for each in states}
    state["step"] = torch.zeros((), device="cpu")
    names = table_names(states)
    if not view.steps:
        return [StepMember(names, alone, gradient, state, group)]
    blocks = matrix_blocks(view, states, (alone, gradient, *[state[name] for name in names[2:]]))
    return [StepMember(names, alone, gradient, state, group, each, index) for index, each in enumerate(blocks or ())]


def launches_of(
    optimizer: type[SpecOptimizer],
    route: str,
    shapes: Sequence[tuple[int, ...]],
    *,
    dtype: torch.dtype = torch.float32,
    precision: Precision = AS_STORED,
    architecture: str = "sm_90",
) -> list[Launch]:
    """What a step of parameters of these shapes launches, to be compiled or counted: nothing has memory but tables."""
    recipe = Recipe.of(optimizer, route, architecture, dtype=dtype, precision=precision)
    tensors = [torch.empty(shape, dtype=dtype, device="meta") for shape in shapes]
    members = [each for one in tensors for each in stand_ins(one, recipe.states, 0, is_matrix=recipe.is_matrix)]
    batch, _ = recipe.batch(members, torch.device("cpu"), Arena())
    return batch.launches
