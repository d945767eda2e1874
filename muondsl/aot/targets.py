"""The targets that kernels are compiled for, with what one multiprocessor of each holds.

The figures of NVIDIA's are those of the CUDA C++ programming guide, table "Technical specifications per compute
capability" (8.0, 9.0, 10.0), and of the occupancy calculator `cuda_occupancy.h`; tensor memory is described in the
PTX ISA, "Tensor memory". Those of gfx942 are in the "AMD Instinct MI300 CDNA3 instruction set architecture" (512 vector
registers a lane and SIMD, 64 KiB of LDS) and in LLVM's AMDGPUBaseInfo (granularities, waves, workgroups).
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches

from muondsl.aot.errors import UnknownTargetError

KIB = 1024


@dataclass(frozen=True, slots=True)
class Target:
    """A multiprocessor (a compute unit) and how its resources are given out. Sizes are in bytes, registers in words.

    Registers lie in `partitions` equal files, one a scheduler; a warp takes whole multiples of `register_granularity`
    words of the file it runs on. A block takes whole multiples of `shared_granularity` bytes, `shared_reserved`
    among them, which belong to the driver. A block of several warps takes one of the `barriers`, where they are
    counted. `tensor_memory` is in columns.
    """

    name: str
    backend: str
    architecture: int | str
    warp_size: int
    registers: int
    register_granularity: int
    max_registers: int
    max_warps: int
    max_blocks: int
    shared: int
    shared_per_block: int
    shared_granularity: int
    shared_reserved: int
    barriers: int = 0
    tensor_memory: int = 0
    partitions: int = 4


def _cuda(name: str, architecture: int, shared: int, tensor_memory: int = 0) -> Target:
    """8.0, 9.0 and 10.0 have the same registers, warps and blocks; of shared memory a block may have all but 1 KiB."""
    return Target(
        name=name,
        backend="cuda",
        architecture=architecture,
        warp_size=32,
        registers=64 * KIB,
        register_granularity=256,
        max_registers=255,
        max_warps=64,
        max_blocks=32,
        shared=shared,
        shared_per_block=shared - KIB,
        shared_granularity=128,
        shared_reserved=KIB,
        tensor_memory=tensor_memory,
    )


GFX942 = Target(
    name="gfx942",
    backend="hip",
    architecture="gfx942",
    warp_size=64,
    registers=4 * 512 * 64,
    register_granularity=8 * 64,
    max_registers=512,
    max_warps=4 * 8,
    max_blocks=32,
    shared=64 * KIB,
    shared_per_block=64 * KIB,
    shared_granularity=512,
    shared_reserved=0,
    barriers=16,
)

TARGETS = {
    target.name: target
    for target in (
        _cuda("sm_80", 80, 164 * KIB),
        _cuda("sm_90", 90, 228 * KIB),
        _cuda("sm_100", 100, 228 * KIB, tensor_memory=512),
        GFX942,
    )
}


def find_target(name: str) -> Target:
    """The target of a name. Raises UnknownTargetError with the known ones."""
    if name in TARGETS:
        return TARGETS[name]
    close = get_close_matches(name, TARGETS, 1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    raise UnknownTargetError(f"there is no target {name!r}{hint}; the known targets are {', '.join(TARGETS)}")
