"""The work of launches, and the time that a roofline gives it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from muondsl.cost.devices import LAUNCH_SECONDS, Device, Format

Kind = Literal["elementwise", "product"]
Bound = Literal["compute", "memory", "launch"]


@dataclass(frozen=True, slots=True)
class Work:
    """What `launches` equal launches of a kernel do together, for `matrices` matrices or parameters.

    `flops` of a product are those of all tiles that run, padding included. `loaded` counts each operand of a product
    once, as memory beyond the caches sees it at best; `loaded_by_tiles` counts what its programs ask for. Both are the
    same for other kernels. Tables of addresses and numbers, which stay in the caches, are left out.
    """

    kernel: str
    title: str
    kind: Kind
    format: Format
    matrices: int
    flops: int
    loaded: int
    stored: int
    loaded_by_tiles: int
    launches: int = 1

    @property
    def bytes(self) -> int:
        return self.loaded + self.stored

    def times(self, device: Device) -> dict[Bound, float]:
        """The seconds that arithmetic, memory and launching take, each at its peak."""
        return {
            "compute": self.flops / device.peaks[self.format],
            "memory": self.bytes / device.bandwidth,
            "launch": self.launches * LAUNCH_SECONDS,
        }

    def seconds(self, device: Device) -> float:
        return max(self.times(device).values())

    def bound(self, device: Device) -> Bound:
        times = self.times(device)
        return max(times, key=lambda bound: times[bound])


@dataclass(frozen=True, slots=True)
class Total:
    """Sums over launches. `work_seconds` are those of arithmetic and memory, as if launches took no time."""

    launches: int
    flops: int
    product_flops: int
    loaded: int
    stored: int
    loaded_by_tiles: int
    elementwise_bytes: int
    work_seconds: float
    seconds: float

    @property
    def bytes(self) -> int:
        return self.loaded + self.stored


def total(works: Iterable[Work], device: Device) -> Total:
    works = tuple(works)
    products = [work for work in works if work.kind == "product"]
    return Total(
        launches=sum(work.launches for work in works),
        flops=sum(work.flops for work in works),
        product_flops=sum(work.flops for work in products),
        loaded=sum(work.loaded for work in works),
        stored=sum(work.stored for work in works),
        loaded_by_tiles=sum(work.loaded_by_tiles for work in works),
        elementwise_bytes=sum(work.bytes for work in works if work.kind == "elementwise"),
        work_seconds=sum(max(work.times(device)[bound] for bound in ("compute", "memory")) for work in works),
        seconds=sum(work.seconds(device) for work in works),
    )
