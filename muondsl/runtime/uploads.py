"""Small tables that the host writes and kernels read, without the host waiting and without memory being asked for."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


class Upload:
    """A tensor on the device, with what the host last wrote there.

    On CUDA a copy is made from pinned memory of its own, which is not used again before the copy is done. While a graph
    is captured every write becomes part of it, whether or not anything has changed: a replay writes what its kernels
    need, whatever was written since. After that the host no longer knows what is on the device, and always writes.
    """

    def __init__(self, host: Tensor, device: torch.device, *, capturable: bool = False) -> None:
        self.tensor = host.to(device)
        self._spare = torch.empty_like(host).pin_memory() if capturable and device.type == "cuda" else None
        self._captured: list[Tensor] = []

    def write(self, host: Callable[[], Tensor], *, is_changed: bool = True) -> None:
        """Copies the values of the host, which are asked for only if they are needed."""
        is_capturing = self.tensor.device.type == "cuda" and torch.cuda.is_current_stream_capturing()
        if not (is_changed or is_capturing or self._captured):
            return
        values = host()
        if is_capturing:
            # Pinned memory cannot be asked for here; a graph keeps what it copies from.
            self._captured.append(values.pin_memory() if self._spare is None else self._spare.copy_(values))
            self._spare = None
            values = self._captured[-1]
        elif self.tensor.device.type == "cuda":
            if self._captured and self._spare is None:
                self._spare = torch.empty_like(values).pin_memory()  # for the next graph
            values = values.pin_memory()
        self.tensor.copy_(values, non_blocking=True)
