"""Counts operations where torch dispatches them: how many, the memory that they read and write, FLOPs of products."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from muondsl.measure.work import LEFT_FACTORS, work_of


class Dispatched(TorchDispatchMode):
    """Counts the operations of this thread that read or write memory: no views, and no allocations.

    An operation reads each tensor that it is given, and writes each that it changes or makes. A list of tensors is one
    operation, and the same tensor given twice is read once. What is read of a product twice over, by its own tiles, is
    not seen. With `computes_products=False` products yield zeros, which leaves all counts as they are.
    """

    def __init__(self, *, computes_products: bool = True) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.products = self.others = 0
        self.product_bytes = self.other_bytes = 0
        self.flops = 0
        self._computes_products = computes_products

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        is_product = func.overloadpacket in LEFT_FACTORS
        is_left_out = is_product and not self._computes_products
        found = _zero_product(func, args, kwargs) if is_left_out else func(*args, **kwargs)
        work = work_of(func, args, kwargs, found)
        if is_product:
            self.products += 1
            self.product_bytes += work.bytes
            self.flops += work.flops
        elif work.bytes:
            self.others += 1
            self.other_bytes += work.bytes
        return found


def _zero_product(func: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Any:
    if "out" in kwargs:
        return kwargs["out"].zero_()
    like = func(*(_without_numbers(each) for each in args), **kwargs)
    return torch.zeros(like.shape, dtype=like.dtype)


def _without_numbers(given: Any) -> Any:
    return given.to("meta") if isinstance(given, Tensor) else given
