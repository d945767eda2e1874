"""The memory that torch's operations ask for, as long as it is held; also of tensors on the device `meta`."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LiveBytes(TorchDispatchMode):
    """Counts while it is entered, in this thread: `now` is what is held, `peak` the most that was. What operations take
    and give back within themselves is not seen.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.peak = 0
        self._held: set[int] = set()

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = {storage_key(each) for each in tensors_in((args, kwargs))}
        found = func(*args, **(kwargs or {}))
        for tensor in tensors_in(found):
            if storage_key(tensor) not in given | self._held:
                storage, size = tensor.untyped_storage(), tensor.untyped_storage().nbytes()
                self._held.add(storage_key(tensor))
                self.now += size
                self.peak = max(self.peak, self.now)
                weakref.finalize(storage, self._let_go, storage_key(tensor), size)
        return found

    def _let_go(self, key: int, size: int) -> None:
        self._held.discard(key)
        self.now -= size


def tensors_in(tree: Any) -> list[Tensor]:
    return [each for each in tree_leaves(tree) if isinstance(each, Tensor)]


def storage_key(tensor: Tensor) -> int:
    """The same for tensors that share memory."""
    return int(tensor.untyped_storage()._cdata)
