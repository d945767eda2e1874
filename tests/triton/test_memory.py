"""What a step needs beside its tensors: a formula, a bound that is kept, and nothing after the first step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from unittest.mock import patch

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from muondsl.runtime.launch import Launch
from muondsl.runtime.step_plan import Recipe, StepPlan, stand_ins
from muondsl.runtime.workspace import Arena
from tests.triton.interpreted import interpreted
from tests.triton.stepping import forms_of, grouped, loaded, numbers, save_findings, stepped

SPECS = ("moonlight", "nanochat", "keller_jordan")
GPT2 = [(768, 768)] * 24 + [(768, 3072)] * 24 + [(3072, 768)] * 12 + [(2304, 768)] * 12
SHAPES = [(17, 33), (48, 48), (96, 48), (48, 112), (40, 81), (33, 17)]
KIB = 1024


def planned(spec: str, shapes: Sequence[tuple[int, int]], bound: int | None = None) -> tuple[StepPlan, Recipe]:
    optimizer = loaded(spec)
    recipe = Recipe.of(optimizer, "matrix", "sm_90")
    tensors = [torch.empty(shape, device="meta") for shape in shapes]
    members = [member for each in tensors for member in stand_ins(each, recipe.states, 0)]
    return StepPlan(recipe, members, bound), recipe


def working_set(spec: str, shapes: Sequence[tuple[int, int]]) -> int:
    """Of each matrix two panels, source and result of the iteration, and one square in direct form, or one to three in
    Gram form: `Layout.bytes`.
    """
    _, recipe = planned(spec, [(16, 16)])
    (member,) = stand_ins(torch.empty(16, 16, device="meta"), recipe.states, 0)
    batch, _ = recipe.batch([member], torch.device("meta"), Arena())
    (iteration,) = batch.iterations
    return sum(iteration.layout(*sorted(shape)).bytes for shape in shapes)


@pytest.mark.parametrize("spec", SPECS)
def test_workspace_is_the_working_set_of_the_iteration(spec: str) -> None:
    """The parts of reductions are what is added: up to 1,024 numbers of a whole one, 8 vectors of one along an axis."""
    needed, expected = planned(spec, GPT2)[0].needed, working_set(spec, GPT2)
    parameters = 4 * sum(rows * cols for rows, cols in GPT2)
    print(f"\n{spec}: {needed / 2**20:.1f} MiB, {needed / expected:.4f} of the working set, ", end="")
    print(f"{needed / parameters:.2f} of the parameters")
    assert expected <= needed <= expected + len(GPT2) * (8 * 3072 * 4 + 16 * KIB)


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("bound", [64 * 2**20])
def test_workspace_is_bounded(spec: str, bound: int) -> None:
    plan, _ = planned(spec, GPT2, bound)
    assert plan.needed <= bound
    assert plan.cuts[0] == 0
    assert plan.cuts[-1] == len(GPT2)
    batches = [planned(spec, GPT2[begin:end])[0].needed for begin, end in zip(plan.cuts, plan.cuts[1:], strict=False)]
    assert max(batches) == plan.needed


@pytest.mark.parametrize("spec", SPECS)
def test_a_bound_changes_no_bit(spec: str) -> None:
    whole, bounded = interpreted(__name__)[spec]
    for one, other in zip(whole, bounded, strict=True):
        assert all(torch.equal(value, other[name]) for name, value in one.items())


class Allocations(TorchDispatchMode):
    """Bytes of every tensor that is made and is no view of one that was there."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = {each.untyped_storage().data_ptr() for each in tensors_in((args, kwargs))}
        result = func(*args, **(kwargs or {}))
        made = [each for each in tensors_in(result) if each.untyped_storage().data_ptr() not in given]
        self.sizes += [each.untyped_storage().nbytes() for each in made]
        return result


def tensors_in(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [tensor for each in value for tensor in tensors_in(each)] if isinstance(value, (list, tuple)) else []


def allocations(spec: str) -> tuple[int, list[int], bool]:
    """Of the first step and of the third; whether its launches are those of the first. Gradients move in between."""
    optimizer = loaded(spec)
    shapes = [*SHAPES, (48,), (3, 5)]
    parameters = [torch.nn.Parameter(each) for each in numbers(shapes, scale=0.05)]
    found, launches = [], []

    def note(launch: Launch) -> None:
        launches[-1].append((launch, [each.data_ptr() for each in launch.arguments if isinstance(each, Tensor)]))

    with forms_of(optimizer, small=32), patch.object(Launch, "run", note):
        made = grouped(optimizer, parameters, backend="triton")
        for step in range(3):
            for parameter, gradient in zip(parameters, numbers(shapes, seed=step), strict=True):
                parameter.grad = gradient
            launches.append([])
            with Allocations() as seen:
                made.step()
            found.append(seen.sizes)
    return sum(found[0]), found[2], launches[0] == launches[2]


@pytest.mark.parametrize("spec", SPECS)
def test_no_memory_is_asked_for_after_the_first_step(spec: str) -> None:
    """But for what the host needs to look at numbers and addresses, which is smaller than any matrix."""
    first, third, is_replayed = interpreted(__name__)[f"{spec}, allocations"]
    print(f"\n{spec}: {first} bytes in the first step; on the host in the third {third}")
    assert first > 100_000
    assert max(third, default=0) <= KIB
    assert sum(third) <= 4 * KIB
    assert is_replayed


def bounded(spec: str) -> tuple[Any, Any]:
    optimizer = loaded(spec)
    with forms_of(optimizer, small=32):
        most = max(planned(spec, [shape])[0].needed for shape in SHAPES)
    return stepped(optimizer, SHAPES), stepped(optimizer, SHAPES, workspace=most + 2 * KIB)


if __name__ == "__main__":
    findings = {spec: lambda spec=spec: bounded(spec) for spec in SPECS}
    save_findings({**findings, **{f"{spec}, allocations": lambda spec=spec: allocations(spec) for spec in SPECS}})
