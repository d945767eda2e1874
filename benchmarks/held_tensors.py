"""The tensors that a process holds."""

from __future__ import annotations

import gc

from torch import Tensor

from muondsl.runtime.live_bytes import storage_key


def held_by_process() -> tuple[int, int]:
    """How many tensors Python knows of, and the bytes of their memory, each of it once."""
    gc.collect()
    tensors = [each for each in gc.get_objects() if issubclass(type(each), Tensor)]
    sizes = {storage_key(each): each.untyped_storage().nbytes() for each in tensors}
    return len(tensors), sum(sizes.values())
