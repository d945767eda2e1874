"""Memory counted while it is held."""

from __future__ import annotations

import torch

from benchmarks.held_tensors import held_by_process
from muondsl.runtime.live_bytes import LiveBytes


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


def test_memory_in_the_place_of_what_was_let_go_is_counted() -> None:
    with LiveBytes() as live:
        for _ in range(10):
            held = torch.zeros(100)
            assert (live.now, held.numel()) == (400, 100)
            del held
        assert (live.now, live.peak) == (0, 400)


def test_a_process_holds_a_view_as_a_tensor_but_not_its_memory_again() -> None:
    tensors, size = held_by_process()
    one = torch.zeros(100)
    assert held_by_process() == (tensors + 1, size + 400)
    view = one[:10]
    assert held_by_process() == (tensors + 2, size + 400)
    del one, view
    assert held_by_process() == (tensors, size)


def test_tensors_that_only_refer_to_each_other_are_not_held() -> None:
    before = held_by_process()
    one, other = torch.zeros(10), torch.zeros(10)
    one.other, other.other = other, one  # type: ignore[attr-defined]
    del one, other
    assert held_by_process() == before
