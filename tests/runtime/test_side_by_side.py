"""Several matrices at once on the threads of a CPU: the bits of one after the other, and nothing of it left behind."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Iterator
from functools import partial

import pytest
import torch

from muondsl.runtime.side_by_side import Task, side_by_side
from tests.runtime.subjects import Optimizer, advance, assert_same, every_class, new_groups, new_parameters, snapshot


@pytest.fixture
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def stepped(kind: Optimizer) -> torch.optim.Optimizer:
    optimizer = kind(new_groups(new_parameters(kind)))
    advance(optimizer, range(2))
    return optimizer


@every_class
def test_steps_side_by_side_are_those_of_one_thread_bit_by_bit(kind: Optimizer) -> None:
    expected = snapshot(stepped(kind))
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        found = snapshot(stepped(kind))
    finally:
        torch.set_num_threads(before)
    assert_same(found, expected)


@pytest.mark.usefixtures("three_threads")
def test_every_work_runs_once_with_one_thread_of_torch_and_without_gradients() -> None:
    ran: list[tuple[int, int, bool, int]] = []
    barrier = threading.Barrier(3, timeout=60)

    def task(number: int) -> None:
        if number < 3:
            barrier.wait()
        ran.append((number, torch.get_num_threads(), torch.is_grad_enabled(), threading.get_ident()))

    side_by_side([Task(100 - number, partial(task, number)) for number in range(20)])
    assert sorted(number for number, *_ in ran) == list(range(20))
    assert {(threads, has_gradients) for _, threads, has_gradients, _ in ran} == {(1, False)}
    assert len({thread for *_, thread in ran}) == 3
    assert torch.get_num_threads() == 3


@pytest.mark.usefixtures("three_threads")
@pytest.mark.parametrize("costs", [(1.0,), (1.0, 1.0), (100.0, 1.0, 1.0)])
def test_what_has_not_enough_beside_it_gets_all_threads(costs: tuple[float, ...]) -> None:
    found: list[int] = []
    side_by_side([Task(cost, lambda: found.append(torch.get_num_threads())) for cost in costs])
    assert found == [3] * len(costs)


@pytest.mark.usefixtures("three_threads")
def test_a_work_above_its_share_goes_first_with_all_threads() -> None:
    found: list[tuple[float, int]] = []

    def note(cost: float) -> None:
        found.append((cost, torch.get_num_threads()))

    side_by_side([Task(cost, partial(note, cost)) for cost in (*(1.0,) * 6, 9.0)])
    assert found[0] == (9.0, 3)
    assert found[1:] == [(1.0, 1)] * 6


@pytest.mark.usefixtures("three_threads")
def test_an_error_is_raised_when_all_have_ended_and_threads_are_given_back() -> None:
    def fail() -> None:
        raise ValueError("no such matrix")

    with pytest.raises(ValueError, match="no such matrix"):
        side_by_side([Task(1.0, fail)] * 9)
    assert torch.get_num_threads() == 3
    ran: list[int] = []
    side_by_side([Task(1.0, lambda: ran.append(1)) for _ in range(9)])
    assert len(ran) == 9


def _in_a_fork() -> None:
    ran: list[int] = []
    torch.set_num_threads(2)
    side_by_side([Task(1.0, lambda: ran.append(1)) for _ in range(4)])
    raise SystemExit(0 if len(ran) == 4 else 1)


@pytest.mark.usefixtures("three_threads")
def test_a_forked_process_has_threads_of_its_own() -> None:
    side_by_side([Task(1.0, lambda: None) for _ in range(9)])
    torch.set_num_threads(1)
    child = multiprocessing.get_context("fork").Process(target=_in_a_fork)
    child.start()
    child.join(60)
    assert child.exitcode == 0
