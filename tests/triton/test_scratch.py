"""Memory for descriptors: whose allocator is asked, and how often it asks the device."""

from __future__ import annotations

from contextvars import copy_context
from threading import Thread

import pytest
import torch
from torch import Tensor

from muondsl.runtime.scratch import SCRATCH, Scratch, provide_scratch

triton = pytest.importorskip("triton")


class ScratchInMainMemory(Scratch):
    """Buffers in main memory, for a device that the test chooses."""

    device = 0

    def current_device(self) -> int:
        return self.device

    def new_buffer(self, size: int, device: int) -> Tensor:
        return torch.empty(size, dtype=torch.uint8)


def allocator() -> object:
    return triton.runtime._allocation._allocator.get()


def test_second_launch_of_a_size_takes_the_same_memory() -> None:
    scratch = ScratchInMainMemory()
    first = scratch(100_000, 128, stream=7)
    assert first.numel() >= 100_000
    assert scratch(100_000, 128, stream=7) is scratch(5, 128, stream=7) is first


def test_larger_launch_keeps_the_memory_of_those_before() -> None:
    scratch = ScratchInMainMemory()
    small, large = scratch(1, 128, stream=7), scratch(1 << 20, 128, stream=7)
    assert large.numel() >= 1 << 20
    assert scratch(1, 128, stream=7) is large
    assert any(kept is small for buffers in scratch.buffers.values() for kept in buffers)


def test_streams_and_devices_share_nothing() -> None:
    scratch = ScratchInMainMemory()
    taken = [scratch(1, 128, stream=stream) for stream in (7, 8, None)]
    scratch.device = 1
    taken.append(scratch(1, 128, stream=7))
    assert len({buffer.data_ptr() for buffer in taken}) == 4


def test_scratch_is_provided_in_every_thread() -> None:
    found: list[object] = []

    def launch() -> None:
        provide_scratch()
        found.append(allocator())

    thread = Thread(target=launch)
    thread.start()
    thread.join()
    assert found == [SCRATCH]


def test_allocator_of_the_user_stays() -> None:
    def mine(size: int, alignment: int, stream: int | None) -> Tensor:
        return torch.empty(size, dtype=torch.uint8)

    def launch() -> object:
        triton.set_allocator(mine)
        provide_scratch()
        return allocator()

    assert copy_context().run(launch) is mine
