"""Tiles of products, measured on a device: for each format and size the fastest of those that do not spill.

Candidates are compiled and read before anything is run, so that what is measured is sound. The tile that muondsl
brings is one of them, and stays unless another is faster by more than measurements differ among themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import product as combinations

import torch
from torch import Tensor

from muondsl.aot.compile_launch import compile_launch
from muondsl.aot.errors import CompilationFailedError, NoDeviceError
from muondsl.aot.inspect_launches import read_binary
from muondsl.aot.occupancy import Usage, occupancy
from muondsl.aot.targets import Target, find_target
from muondsl.runtime.choose_tile import product_tile
from muondsl.runtime.launch import Launch
from muondsl.runtime.products import Operand, Problem, product_launch
from muondsl.runtime.tiles import Tile, known_architecture
from muondsl.runtime.tuned_tiles import TunedTile

Timer = Callable[[Launch], float]
"""The time of a launch in milliseconds."""

SIDES = (256, 512, 1024, 2048, 4096)
DTYPES = (torch.bfloat16, torch.float16, torch.float32)
NOISE = 0.02

_BLOCKS = (64, 128, 256)
_ACCUMULATORS = (16, 128)
"""The least and the most numbers of the result that one thread holds."""


@dataclass(frozen=True, slots=True)
class Case:
    """A product whose result has the shorter side `side`: x xᵀ of a matrix twice as long, or s x."""

    dtype: torch.dtype
    is_symmetric: bool
    side: int

    @property
    def dtype_name(self) -> str:
        return str(self.dtype).removeprefix("torch.")

    @property
    def count(self) -> int:
        """Enough products of a small size to fill a device, as a step has them."""
        return max(1, min(16, (2048 // self.side) ** 2))


def tune(
    architecture: str,
    *,
    device: torch.device,
    timer: Timer,
    dtypes: Iterable[torch.dtype] = DTYPES,
    sides: Iterable[int] = SIDES,
    candidates: Callable[[Target, Case], Iterable[Tile]] | None = None,
    device_name: str = "",
    report: Callable[[str], None] = lambda line: None,
) -> list[TunedTile]:
    """The fastest tile of every case. `timer` measures a launch; `report` is told about each case."""
    target = find_target(architecture)
    entries = []
    for dtype, is_symmetric, side in combinations(dtypes, (True, False), sides):
        case = Case(dtype, is_symmetric, side)
        tiles = (candidates or candidate_tiles)(target, case)
        tile, milliseconds, measured = fastest_tile(case, target, tiles, timer, device)
        report(f"{_words(case)}: {milliseconds:.3f} ms with {_tile_words(tile)}, of {measured} candidates")
        entries.append(TunedTile(target.name, case.dtype_name, is_symmetric, side, tile, device_name, milliseconds))
    return entries


def tune_device(report: Callable[[str], None] = lambda line: None) -> list[TunedTile]:
    """Tunes for the current device. Raises NoDeviceError where there is none."""
    if not torch.cuda.is_available():
        raise NoDeviceError("no GPU found: tune measures on the device")
    properties = torch.cuda.get_device_properties(torch.cuda.current_device())
    if torch.version.hip:
        name = str(properties.gcnArchName).split(":")[0]
    else:
        name = f"sm_{properties.major}{properties.minor}"
    device = torch.device("cuda", torch.cuda.current_device())
    return tune(
        known_architecture(name), device=device, timer=time_on_device, device_name=properties.name, report=report
    )


def time_on_device(launch: Launch) -> float:
    """The median time of many runs, in milliseconds."""
    from triton.testing import do_bench

    return float(do_bench(launch.run, return_mode="median"))


def fastest_tile(
    case: Case, target: Target, tiles: Iterable[Tile], timer: Timer, device: torch.device
) -> tuple[Tile, float, int]:
    """The tile, its time in milliseconds, and how many were measured."""
    usual = product_tile(target.name, case.dtype_name, is_symmetric=case.is_symmetric, side=case.side)
    memory = _operands(case, device)
    times = {}
    for tile in dict.fromkeys((usual, *tiles)):
        launch = _launch(case, memory, tile, device)
        if tile == usual or is_sound(launch, target):
            times[tile] = timer(launch)
    best = min(times, key=lambda tile: times[tile])
    if times[best] >= times[usual] * (1 - NOISE):
        best = usual
    return best, times[best], len(times)


def is_sound(launch: Launch, target: Target) -> bool:
    """Whether the kernel compiles, does not spill, and fits a multiprocessor."""
    try:
        compiled = compile_launch(launch, target)
    except CompilationFailedError:
        return False
    resources, _ = read_binary(compiled)
    usage = Usage(resources.registers, resources.shared, compiled.warps, compiled.tensor_memory)
    return resources.spills == 0 and occupancy(usage, target).blocks > 0


def candidate_tiles(target: Target, case: Case) -> Iterator[Tile]:
    """Tiles whose results fit the registers and whose stages fit the shared memory, before anything is compiled."""
    usual = product_tile(target.name, case.dtype_name, is_symmetric=case.is_symmetric, side=case.side)
    has_descriptors = target.name in ("sm_90", "sm_100")
    grid = combinations(
        _BLOCKS,
        _BLOCKS,
        (32, 64, 128),
        (4, 8),
        (1, 2) if target.backend == "hip" else (2, 3, 4),
        (True, False) if has_descriptors else (False,),
    )
    for block_m, block_n, block_k, warps, stages, uses_descriptors in grid:
        held = block_m * block_n // (warps * target.warp_size)
        taken = stages * (block_m + block_n) * block_k * case.dtype.itemsize
        if case.is_symmetric and block_m != block_n:
            continue
        if _ACCUMULATORS[0] <= held <= _ACCUMULATORS[1] and taken <= target.shared_per_block:
            yield replace(
                usual,
                block_m=block_m,
                block_n=block_n,
                block_k=block_k,
                warps=warps,
                stages=stages,
                uses_descriptors=uses_descriptors,
                registers=None,
            )


@dataclass(frozen=True, slots=True, eq=False)
class _Memory:
    left: Tensor
    right: Tensor
    out: Tensor


def _operands(case: Case, device: torch.device) -> _Memory:
    """Random numbers, because a device draws less power, and is faster, on zeros."""

    def numbers(rows: int, cols: int) -> Tensor:
        return torch.randn(case.count, rows, cols, device=device, dtype=torch.float32).to(case.dtype)

    side, long = case.side, 2 * case.side
    if case.is_symmetric:
        x = numbers(side, long)
        return _Memory(x, x, torch.empty(case.count, side, side, device=device, dtype=case.dtype))
    out = torch.empty(case.count, side, long, device=device, dtype=case.dtype)
    return _Memory(numbers(side, side), numbers(side, long), out)


def _launch(case: Case, memory: _Memory, tile: Tile, device: torch.device) -> Launch:
    _, m, k = memory.left.shape
    n = memory.out.shape[2]
    problems = [
        Problem(_operand(left), _operand(right), _operand(out), m, n, k)
        for left, right, out in zip(memory.left, memory.right, memory.out, strict=True)
    ]
    transposed = (False, case.is_symmetric)
    return product_launch(
        problems, dtype=case.dtype, tile=tile, device=device, is_symmetric=case.is_symmetric, transposed=transposed
    )


def _operand(matrix: Tensor) -> Operand:
    return Operand(matrix.data_ptr(), matrix.stride(0))


def _words(case: Case) -> str:
    return f"{case.dtype_name} {'x xᵀ' if case.is_symmetric else 's x'} side {case.side}"


def _tile_words(tile: Tile) -> str:
    copies = ", descriptors" if tile.uses_descriptors else ""
    blocks = f"{tile.block_m}×{tile.block_n}×{tile.block_k}"
    return f"{blocks}, {tile.warps} warps, {tile.stages} stages{copies}"
