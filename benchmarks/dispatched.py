"""Counts operations where torch dispatches them: how many, the memory that they read and write, FLOPs of products."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from muondsl.runtime.live_bytes import storage_key, tensors_in

aten = torch.ops.aten
ALLOCATIONS = {aten.empty, aten.empty_like, aten.empty_strided, aten.new_empty, aten.new_empty_strided}
OVERWRITING = {aten.copy_, aten.fill_, aten.zero_, aten._foreach_copy_, aten._foreach_zero_}
"""These write the tensor they are called on, and do not read it."""


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
        flops = flop_registry.get(func.overloadpacket)
        if flops is None:
            found = func(*args, **kwargs)
            if not _is_free(func, args, kwargs, found):
                self.others += 1
                self.other_bytes += _moved_bytes(func, args, kwargs, found)
            return found
        found = func(*args, **kwargs) if self._computes_products else _zero_product(func, args, kwargs)
        self.products += 1
        self.product_bytes += _moved_bytes(func, args, kwargs, found)
        self.flops += flops(*args, **kwargs, out_val=found)
        return found


def _is_free(func: Any, args: Any, kwargs: Any, found: Any) -> bool:
    """Whether an operation touches no numbers: it has no tensors, or makes views of those given, or only allocates."""
    made, given = tensors_in(found), tensors_in((args, kwargs))
    if func.overloadpacket in ALLOCATIONS or not (made or given):
        return True
    shared = {storage_key(each) for each in given}
    return bool(made) and not func._schema.is_mutable and all(storage_key(each) in shared for each in made)


def _moved_bytes(func: Any, args: Any, kwargs: Any, found: Any) -> int:
    read, written = [], list(tensors_in(found))
    for number, argument in enumerate(func._schema.arguments):
        value = args[number] if number < len(args) else kwargs.get(argument.name)
        is_written = argument.alias_info is not None and argument.alias_info.is_write
        if is_written:
            written += tensors_in(value)
        if not (is_written and (argument.is_out or func.overloadpacket in OVERWRITING)):
            read += tensors_in(value)
    return sum(_distinct_bytes(each) for each in (read, written))


def _distinct_bytes(tensors: list[Tensor]) -> int:
    """A tensor and its transpose are the same memory; what is expanded is there once."""
    sizes = {(storage_key(each), each.storage_offset(), each.numel()): _own_bytes(each) for each in tensors}
    return sum(sizes.values())


def _own_bytes(tensor: Tensor) -> int:
    sizes = (size for size, stride in zip(tensor.shape, tensor.stride(), strict=True) if stride or not size)
    return math.prod(sizes) * tensor.element_size()


def _zero_product(func: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Any:
    if "out" in kwargs:
        return kwargs["out"]
    like = func(*(_without_numbers(each) for each in args), **kwargs)
    return torch.zeros(like.shape, dtype=like.dtype)


def _without_numbers(given: Any) -> Any:
    return given.to("meta") if isinstance(given, Tensor) else given
