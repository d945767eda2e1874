"""Several threads of the CPU at once, a matrix each, which gains more than all threads on one matrix do."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True)
class Task:
    """`cost` is in any unit that all of them share. `needed` are bytes of memory, if they are bounded."""

    cost: float
    run: Callable[[], None]
    needed: int = 0


_pools: dict[int, ThreadPoolExecutor] = {}
if hasattr(os, "register_at_fork"):  # where there are forks, which have none of the threads
    os.register_at_fork(after_in_child=_pools.clear)


def side_by_side(tasks: Sequence[Task], workspace: int | None = None) -> None:
    """Runs all, with as many threads as the caller gives torch. A task that costs more than its share of them, needs
    more than its share of the workspace, or has no other beside it, gets all threads; the others get one each. What one
    of them raises is raised when all have ended.
    """
    threads = torch.get_num_threads()
    share = sum(task.cost for task in tasks) / threads
    bound = float("inf") if workspace is None else workspace / threads
    small = [task for task in tasks if task.cost <= share and task.needed <= bound]
    chosen = set(map(id, small)) if threads > 1 and len(small) >= threads else set()
    alone = [task for task in tasks if id(task) not in chosen]
    for task in alone:
        task.run()
    if not chosen:
        return
    waiting = deque(sorted(small, key=lambda task: -task.cost))
    torch.set_num_threads(1)
    try:
        others = [_pool(threads - 1).submit(_drain, waiting) for _ in range(threads - 1)]
        try:
            _drain(waiting)
        finally:
            waiting.clear()
            errors = [error for other in others if (error := other.exception())]
    finally:
        torch.set_num_threads(threads)
    if errors:
        raise errors[0]


def _pool(size: int) -> ThreadPoolExecutor:
    if size not in _pools:
        _pools[size] = ThreadPoolExecutor(size, "muondsl", initializer=torch.set_num_threads, initargs=(1,))
    return _pools[size]


def _drain(waiting: deque[Task]) -> None:
    with torch.no_grad():
        while True:
            try:
                task = waiting.popleft()
            except IndexError:
                return
            task.run()
