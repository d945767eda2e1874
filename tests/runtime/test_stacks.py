"""Small parameters of one shape, stepped by one call, against each of them stepped by its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import Parameter

import muondsl
from muondsl.runtime import SpecOptimizer, torch_path
from tests.specs import path_of

COUNT = 11
SHAPE = (16, 24)


def loaded(spec: str) -> type[SpecOptimizer]:
    return muondsl.load(path_of(spec), precision="fp32")


def parameters(shape: Sequence[int], dtype: torch.dtype = torch.float32) -> list[Parameter]:
    generator = torch.Generator().manual_seed(0)
    return [Parameter(torch.randn(tuple(shape), generator=generator).to(dtype)) for _ in range(COUNT)]


def trained(kind: Any, route: str, shape: Sequence[int], dtype: torch.dtype = torch.float32, **options: Any) -> Any:
    """An optimizer after four steps, in the first of which every third parameter has no gradient."""
    members = parameters(shape, dtype)
    optimizer = kind([{"params": members, "route": route}], **options)
    for step in range(4):
        for number, member in enumerate(members):
            generator = torch.Generator().manual_seed(100 * step + number)
            gradient = torch.randn(tuple(shape), generator=generator).to(dtype)
            member.grad = None if step == 0 and number % 3 == 0 else gradient
        optimizer.step()
    return optimizer


def tensors(optimizer: Any) -> list[Tensor]:
    members = optimizer.param_groups[0]["params"]
    states = [optimizer.state[member] for member in members]
    return [*members, *(state[name] for state in states for name in sorted(state))]


def counted_stacks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    sizes: list[int] = []
    step = torch_path._step_stack

    def counted(members: Sequence[Any]) -> None:
        sizes.append(len(members))
        step(members)

    monkeypatch.setattr(torch_path, "_step_stack", counted)
    return sizes


def one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_path, "FEWEST_STACKED", COUNT + 1)


@pytest.mark.parametrize("spec", ["torch_muon", "moonlight", "nanochat", "normuon", "adamuon", "muon_eq", "scion"])
@pytest.mark.parametrize("shape", [SHAPE, (24, 16), (1, 5)], ids=str)
def test_matrices_in_a_stack_are_as_alone(spec: str, shape: Sequence[int], monkeypatch: pytest.MonkeyPatch) -> None:
    kind = loaded(spec)
    sizes = counted_stacks(monkeypatch)
    found = tensors(trained(kind, "matrix", shape))
    assert sizes, "nothing was stacked"
    one_by_one(monkeypatch)
    expected = tensors(trained(kind, "matrix", shape))
    for mine, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=2e-5, atol=2e-6)


def test_parameters_that_took_other_numbers_of_steps_are_in_stacks_of_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Seven have a gradient in the first of four steps; the other four take a step less, and come first in order."""
    monkeypatch.setattr(torch_path, "FEWEST_STACKED", 4)
    sizes = counted_stacks(monkeypatch)
    trained(loaded("moonlight"), "otherwise", (6,))
    assert sizes == [7, *[4, 7] * 3]


@pytest.mark.parametrize(
    ("dtype", "options"),
    [
        (torch.float32, {}),
        (torch.float32, {"maximize": True}),
        (torch.bfloat16, {"master_weights": True}),
        (torch.bfloat16, {"stochastic_rounding": 7}),
    ],
    ids=["fp32", "maximize", "masters", "rounded at random"],
)
def test_elementwise_steps_have_the_same_bits(
    dtype: torch.dtype, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch_path, "FEWEST_STACKED", 4)
    kind = muondsl.load(path_of("moonlight"))
    sizes = counted_stacks(monkeypatch)
    found = tensors(trained(kind, "otherwise", (6, 5), dtype, **options))
    assert sizes
    one_by_one(monkeypatch)
    expected = tensors(trained(kind, "otherwise", (6, 5), dtype, **options))
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(found, expected, strict=True))


def test_stacks_are_cut_to_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_path, "MOST_STACKED", 5 * 16 * 24)
    sizes = counted_stacks(monkeypatch)
    trained(loaded("torch_muon"), "matrix", SHAPE)
    assert sizes[-2:] == [5, 5]  # and one alone
    monkeypatch.setattr(torch_path, "LARGEST_STACKED", 16 * 24 - 1)
    sizes.clear()
    trained(loaded("torch_muon"), "matrix", SHAPE)
    assert not sizes


def test_faithful_classes_and_what_is_seen_through_views_are_stepped_one_by_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sizes = counted_stacks(monkeypatch)
    trained(muondsl.load(path_of("torch_muon"), numerics="faithful"), "matrix", SHAPE)
    members = parameters(SHAPE)
    named = [(f"layer{number}", member) for number, member in enumerate(members)]
    optimizer: Any = loaded("torch_muon")
    optimizer = optimizer([{"params": named, "route": "matrix"}], views={"*": "split(2)"})
    for member in members:
        member.grad = torch.ones_like(member)
    optimizer.step()
    assert not sizes
