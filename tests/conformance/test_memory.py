"""What a step keeps on the CPU while it runs and behind it."""

from __future__ import annotations

import torch
from torch.nn import Parameter

from muondsl.runtime.live_bytes import LiveBytes
from tests.runtime.subjects import Optimizer, every_generated_class, random, set_gradients

SHAPE = (32, 48)
COPIES = {"ProcrustesNewtonSchulz": 11}
"""As many copies of a parameter in fp32 a step holds at most: this one, which iterates in fp64. All others hold 6."""


def test_memory_is_counted_as_long_as_it_is_held() -> None:
    with LiveBytes() as live:
        first = torch.zeros(100)
        view = first.view(10, 10)
        view.add_(1)
        del first
        assert (live.now, live.peak) == (400, 400)
        other = view + view
        assert live.now == 800
        del view
        assert (live.now, live.peak, other.numel()) == (400, 800, 100)


def peak_of_a_step(kind: Optimizer, route: str, count: int) -> tuple[int, int]:
    """The bytes asked for at the height of the second step and those left behind it."""
    parameters = [Parameter(random(SHAPE, index)) for index in range(count)]
    optimizer = kind([{"params": parameters, "route": route}])
    set_gradients(parameters, 0)
    optimizer.step()
    set_gradients(parameters, 1)
    with LiveBytes() as live:
        optimizer.step()
    return live.peak, live.now


@every_generated_class
def test_a_step_holds_a_few_copies_of_one_parameter_at_a_time(kind: Optimizer) -> None:
    size = random(SHAPE, 0).nbytes
    for route in kind.states:
        peak, left = peak_of_a_step(kind, route, 1)
        assert left == 0
        assert peak <= COPIES.get(kind.__name__, 6) * size
        assert peak_of_a_step(kind, route, 4) == (peak, 0)
