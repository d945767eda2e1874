"""`workspace` on the torch path: what a step needs is known before it runs, and no more is held at one time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch.nn import Parameter

import muondsl
from generated.adamuon import Adamuon
from generated.torch_muon import TorchMuon
from muondsl.runtime import torch_path
from muondsl.runtime.live_bytes import LiveBytes
from muondsl.runtime.side_by_side import Task, side_by_side
from tests.runtime.subjects import Optimizer, every_generated_class, random, set_gradients

SHAPE = (32, 48)


@pytest.fixture(autouse=True)
def _two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def made(kind: Any, count: int, shape: tuple[int, ...] = SHAPE, route: str = "matrix", **options: Any) -> Any:
    parameters = [Parameter(random(shape, index)) for index in range(count)]
    set_gradients(parameters, 0)
    return kind([{"params": parameters, "route": route}], **options)


@every_generated_class
def test_what_a_step_needs_is_known_before_it_runs(kind: Optimizer) -> None:
    """What is counted on the device `meta` is what the same operations hold on a CPU."""
    torch.set_num_threads(1)
    for route in kind.states:
        optimizer = made(kind, 1, route=route, workspace=1 << 40)
        optimizer.step()
        with LiveBytes() as live:
            optimizer.step()
        assert list(optimizer.backend.needed.values()) == [live.peak]
        assert live.peak > 0


@pytest.mark.parametrize(
    "options", [{}, {"views": {"*": "split(2)"}}, {"views": {"*": "transpose, split(2)"}}], ids=str
)
def test_it_is_known_of_views_and_formats(options: dict[str, Any]) -> None:
    torch.set_num_threads(1)
    parameter = Parameter(random((48, 48), 0).bfloat16())
    parameter.grad = random((48, 48), 1).bfloat16()
    groups = [{"params": [("one", parameter)], "route": "matrix"}]
    optimizer = TorchMuon(groups, workspace=1 << 40, stochastic_rounding=1, **options)
    optimizer.step()
    with LiveBytes() as live:
        optimizer.step()
    assert set(optimizer.backend.needed.values()) == {live.peak}


def test_too_little_is_refused_before_anything_changes() -> None:
    optimizer = made(Adamuon, 3, workspace=1 << 20)
    optimizer.step()
    (needed,) = optimizer.backend.needed.values()
    optimizer = made(Adamuon, 3, workspace=needed - 1)
    before = [parameter.detach().clone() for parameter in optimizer.param_groups[0]["params"]]
    message = (
        rf"^a parameter of size \(32, 48\) needs {needed} bytes while it is stepped, but workspace is {needed - 1}$"
    )
    with pytest.raises(RuntimeError, match=message):
        optimizer.step()
    for parameter, old in zip(optimizer.param_groups[0]["params"], before, strict=True):
        assert torch.equal(parameter, old)
        assert all(not each.any() for each in optimizer.state[parameter].values())


def test_what_needs_more_than_its_share_is_stepped_alone() -> None:
    seen: list[tuple[int, int]] = []
    tasks = [
        Task(1.0, lambda needed=needed: seen.append((needed, torch.get_num_threads())), needed)
        for needed in (60, 10, 51, 50, 20)
    ]
    side_by_side(tasks, workspace=100)
    assert sorted(seen) == [(10, 1), (20, 1), (50, 1), (51, 2), (60, 2)]
    seen.clear()
    side_by_side(tasks)
    assert {threads for _, threads in seen} == {1}


def test_stacks_are_no_larger_than_their_share(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    step = torch_path._step_stack

    def counted(members: Any) -> None:
        if members[0].parameter.device.type == "cpu":
            sizes.append(len(members))
        step(members)

    monkeypatch.setattr(torch_path, "_step_stack", counted)
    free = made(TorchMuon, 24, workspace=1 << 30)
    free.step()
    assert sizes == [24]
    (needed,) = free.backend.needed.values()
    sizes.clear()
    bound = made(TorchMuon, 24, workspace=needed)
    bound.step()
    assert sizes == [12, 12]
    sizes.clear()
    made(TorchMuon, 400, workspace=1 << 40).step()
    assert sorted(sizes) == [400 - 2 * 170, 170, 170]  # as many as without a bound
    for mine, theirs in zip(bound.param_groups[0]["params"], free.param_groups[0]["params"], strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-6, rtol=1e-5)


def test_a_bounded_step_is_the_same_step() -> None:
    kind = muondsl.load("specs/torch_muon.muon")
    shape = (256, 300)
    free, bound = made(kind, 3, shape), made(kind, 3, shape, workspace=1 << 30)
    for optimizer in (free, bound):
        optimizer.step()
        optimizer.step()
    for mine, theirs in zip(bound.param_groups[0]["params"], free.param_groups[0]["params"], strict=True):
        assert torch.equal(mine, theirs)
