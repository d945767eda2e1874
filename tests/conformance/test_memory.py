"""What a step keeps on the CPU while it runs and behind it."""

from __future__ import annotations

import pytest
from torch.nn import Parameter

from benchmarks.held_tensors import held_by_process
from generated.nanochat import Nanochat
from generated.torch_muon import TorchMuon
from muondsl.runtime.live_bytes import LiveBytes, tensors_in
from tests.runtime.subjects import Optimizer, every_generated_class, flat, new_groups, random, set_gradients

SHAPE = (32, 48)
COPIES = {"ProcrustesNewtonSchulz": 11}
"""As many copies of a parameter in fp32 a step holds at most: this one, which iterates in fp64. All others hold 6."""


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


@pytest.mark.parametrize("kind", [TorchMuon, Nanochat])
def test_a_thousand_steps_hold_no_more_than_a_few(kind: Optimizer) -> None:
    """Eight matrices of one shape are stepped as a stack, the others by themselves."""
    shapes = {"matrix": [*[(8, 8)] * 8, (8, 12), (12, 8)], "otherwise": [(6,), (6,)]}
    parameters = {route: [Parameter(random(shape, 0)) for shape in shapes[route]] for route in kind.states}
    optimizer = kind(new_groups(parameters))
    set_gradients(flat(parameters), 0)
    for _ in range(5):
        optimizer.step()
    states = [each.nbytes for each in tensors_in(optimizer.state_dict())]
    held = held_by_process()
    for _ in range(1000):
        optimizer.step()
    assert [each.nbytes for each in tensors_in(optimizer.state_dict())] == states
    assert held_by_process() == held
