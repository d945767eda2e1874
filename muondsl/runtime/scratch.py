"""Device memory for the descriptors that kernels make while they run. Triton asks for it at each launch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

SMALLEST = 1 << 16
"""Bytes of the first buffer: of 50 programs or more, which make at most ten descriptors of 128 bytes each."""


class Scratch:
    """An allocator that answers from one buffer a device and stream, so that only the first launches allocate.

    Launches on a stream run one after the other and may share a buffer. One that has become too small is kept beside
    its successor of at least twice the size: a captured graph may hold its address.
    """

    def __init__(self) -> None:
        self.buffers: dict[tuple[int, int | None], list[Tensor]] = {}

    def __call__(self, size: int, alignment: int, stream: int | None) -> Tensor:
        """Memory of at least `size` bytes. torch aligns it to 512, which is more than Triton asks for."""
        device = self.current_device()
        buffers = self.buffers.setdefault((device, stream), [])
        if not buffers or buffers[-1].numel() < size:
            buffers.append(self.new_buffer(max(SMALLEST, 1 << (size - 1).bit_length()), device))
        return buffers[-1]

    def current_device(self) -> int:
        """The device of the launch, which Triton makes current."""
        return torch.cuda.current_device()

    def new_buffer(self, size: int, device: int) -> Tensor:
        return torch.empty(size, dtype=torch.uint8, device=torch.device("cuda", device))


SCRATCH = Scratch()


def provide_scratch(*args: object, **kwargs: object) -> None:
    """Makes `SCRATCH` the allocator of the running context, unless the user has set one of their own.

    It runs before each launch of a kernel with descriptors: the allocator is a context variable, and one that is set at
    import is missing in other threads.
    """
    import triton
    from triton.runtime import _allocation

    current: Any = _allocation._allocator
    # A plain variable until Triton 3.4.
    current = current.get() if hasattr(current, "get") else current
    if isinstance(current, _allocation.NullAllocator):
        triton.set_allocator(SCRATCH)
