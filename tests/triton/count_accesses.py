"""Counts what kernels load and store: Triton's interpreter, with an eye on every access to memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor

from muondsl.runtime.launch import Launch

TABLES, STEPS = "tables", "steps"
"""What a launch is given as arguments, and numbers of steps. All else is in tensors that are named, or a mistake."""


@dataclass
class Traffic:
    """Bytes of one region in one launch. Lanes that a mask leaves out do not count.

    `loaded` counts every load, `loaded_once` every byte once; `most_stores` is how often the element that is stored
    most often is.
    """

    loaded: int = 0
    loaded_once: int = 0
    stored: int = 0
    stored_once: int = 0
    most_stores: int = 0


@dataclass
class LaunchTraffic:
    """Traffic of a launch by the names of regions."""

    kernel: str
    title: str
    regions: dict[str, Traffic] = field(default_factory=dict)

    def bytes(self, *, once: bool = False) -> int:
        """Of all tensors, without tables."""
        found = [traffic for name, traffic in self.regions.items() if name not in (TABLES, STEPS)]
        return sum((each.loaded_once if once else each.loaded) + each.stored for each in found)


class Accesses:
    """Addresses of one launch's accesses, by region and kind."""

    def __init__(self, regions: Mapping[str, list[tuple[int, int]]]) -> None:
        spans = sorted((begin, end, name) for name, places in regions.items() for begin, end in places if end > begin)
        self.begins = np.array([begin for begin, _, _ in spans], dtype=np.uint64)
        self.spans = spans
        self.seen: dict[tuple[str, str, int], list[Any]] = {}

    def add(self, kind: str, addresses: Any, itemsize: int) -> None:
        if not len(addresses):
            return
        lowest, highest = int(addresses.min()), int(addresses.max()) + itemsize
        place = int(np.searchsorted(self.begins, np.uint64(lowest), side="right")) - 1
        begin, end, name = self.spans[place] if place >= 0 else (0, 0, "")
        assert begin <= lowest, f"{kind} of unknown memory at {lowest}"
        assert highest <= end, f"{kind} of {name} at {lowest} to {highest}, which ends at {end}"
        self.seen.setdefault((name, kind, itemsize), []).append(addresses)

    def traffic(self) -> dict[str, Traffic]:
        found: dict[str, Traffic] = {}
        for (name, kind, itemsize), parts in self.seen.items():
            _, counts = np.unique(np.concatenate(parts), return_counts=True)
            traffic = found.setdefault(name, Traffic())
            if kind == "load":
                traffic.loaded += itemsize * int(counts.sum())
                traffic.loaded_once += itemsize * len(counts)
            else:
                traffic.stored += itemsize * int(counts.sum())
                traffic.stored_once += itemsize * len(counts)
                traffic.most_stores = max(traffic.most_stores, int(counts.max()))
        return found


def place_of(tensor: Tensor) -> tuple[int, int]:
    """The memory of a contiguous tensor."""
    begin = tensor.data_ptr()
    return begin, begin + tensor.numel() * tensor.element_size()


@contextmanager
def counted(regions: Mapping[str, list[tuple[int, int]]]) -> Iterator[list[LaunchTraffic]]:
    """The traffic of every launch that runs meanwhile. Regions are spans of memory; an access outside of all fails."""
    from triton.runtime.interpreter import InterpreterBuilder

    load, store, run = InterpreterBuilder.create_masked_load, InterpreterBuilder.create_masked_store, Launch.run
    found: list[LaunchTraffic] = []
    current: list[Accesses] = []

    def chosen(pointers: Any, mask: Any) -> Any:
        places, is_there = np.broadcast_arrays(pointers.data, mask.data)
        return places[is_there]

    def counting_load(self: Any, pointers: Any, mask: Any, *rest: Any, **named: Any) -> Any:
        result = load(self, pointers, mask, *rest, **named)
        current[-1].add("load", chosen(pointers, mask), result.data.itemsize)
        return result

    def counting_store(self: Any, pointers: Any, value: Any, mask: Any, *rest: Any, **named: Any) -> Any:
        current[-1].add("store", chosen(pointers, mask), pointers.get_element_ty().primitive_bitwidth // 8)
        return store(self, pointers, value, mask, *rest, **named)

    def counting_run(self: Launch) -> None:
        tables = [place_of(each) for each in self.arguments if isinstance(each, Tensor)]
        current.append(Accesses({**regions, TABLES: tables}))
        run(self)
        found.append(LaunchTraffic(self.name, self.title, current.pop().traffic()))

    InterpreterBuilder.create_masked_load = counting_load
    InterpreterBuilder.create_masked_store = counting_store
    vars_of_launch: Any = Launch
    vars_of_launch.run = counting_run
    try:
        yield found
    finally:
        InterpreterBuilder.create_masked_load, InterpreterBuilder.create_masked_store = load, store
        vars_of_launch.run = run
