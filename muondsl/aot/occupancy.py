"""How many blocks of a kernel one multiprocessor runs at a time, and which of its resources keeps out the next."""

from __future__ import annotations

from dataclasses import dataclass

from muondsl.aot.targets import Target


@dataclass(frozen=True, slots=True)
class Usage:
    """What one block takes: `registers` a thread, `shared` bytes in all, `tensor_memory` columns."""

    registers: int
    shared: int
    warps: int
    tensor_memory: int = 0


@dataclass(frozen=True, slots=True)
class Occupancy:
    """`blocks` is 0 for a block that is too large to be launched. `bound` names the resource that runs out first."""

    blocks: int
    bound: str


def occupancy(usage: Usage, target: Target) -> Occupancy:
    """The least of what each resource allows, as `cuda_occupancy.h` counts it; the first named of several that tie."""
    allowed = {
        "registers": _by_registers(usage, target),
        **({"shared memory": _by_shared(usage, target)} if usage.shared else {}),
        "warps": target.max_warps // usage.warps,
        "blocks": target.max_blocks,
    }
    if target.barriers and usage.warps > 1:
        allowed["barriers"] = target.barriers
    if usage.tensor_memory:
        allowed["tensor memory"] = target.tensor_memory // usage.tensor_memory
    bound = min(allowed, key=lambda resource: allowed[resource])
    return Occupancy(allowed[bound], bound)


def _by_registers(usage: Usage, target: Target) -> int:
    """A warp's registers lie in one partition, so what is left over in two partitions holds no warp."""
    words = _rounded_up(max(usage.registers, 1) * target.warp_size, target.register_granularity)
    warps = target.registers // target.partitions // words * target.partitions
    return warps // usage.warps


def _by_shared(usage: Usage, target: Target) -> int:
    if usage.shared > target.shared_per_block:
        return 0
    taken = _rounded_up(usage.shared + target.shared_reserved, target.shared_granularity)
    return target.shared // taken


def _rounded_up(size: int, granularity: int) -> int:
    return -(-size // granularity) * granularity
