"""Launches become inspections: each different binary once, with the number of launches that it serves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from muondsl.aot.accesses import widths
from muondsl.aot.compile_launch import Compiled, compile_launch
from muondsl.aot.inspection import Inspection
from muondsl.aot.instructions import Instructions, Resources
from muondsl.aot.occupancy import Usage, occupancy
from muondsl.aot.read_cuda import read_cuda
from muondsl.aot.read_hip import read_hip
from muondsl.aot.targets import Target
from muondsl.runtime.launch import Launch

_READ: dict[str, tuple[Resources, Instructions]] = {}


def inspect_launches(launches: Sequence[Launch], targets: Iterable[Target], spec: str = "") -> list[Inspection]:
    """Compiles and reads every different kernel of `launches`, in the order in which they come first."""
    return [inspection for target in targets for inspection in _inspect_for(launches, target, spec)]


def read_binary(compiled: Compiled) -> tuple[Resources, Instructions]:
    """What the binary says, read once."""
    if compiled.key not in _READ:
        _READ[compiled.key] = (read_cuda if compiled.target.backend == "cuda" else read_hip)(compiled)
    return _READ[compiled.key]


def describe_constants(constants: Mapping[str, Any]) -> str:
    """`{"PARAMETER": tl.float32, "IS_ALIGNED": True, "BLOCK": 64}` → `PARAMETER=fp32 IS_ALIGNED BLOCK=64`."""
    words = []
    for name, value in constants.items():
        if value is True:
            words.append(name)
        elif value is not False and value is not None:
            words.append(f"{name}={value}")
    return " ".join(words)


def _inspect_for(launches: Sequence[Launch], target: Target, spec: str) -> Iterable[Inspection]:
    compiled = [compile_launch(launch, target) for launch in launches]
    counts = Counter(binary.key for binary in compiled)
    matrices: Counter[str] = Counter()
    first: dict[str, tuple[Launch, Compiled]] = {}
    for launch, binary in zip(launches, compiled, strict=True):
        matrices[binary.key] += launch.matrices
        first.setdefault(binary.key, (launch, binary))
    for key, (launch, binary) in first.items():
        yield _inspect(launch, binary, spec, counts[key], matrices[key])


def _inspect(launch: Launch, compiled: Compiled, spec: str, launches: int, matrices: int) -> Inspection:
    resources, instructions = read_binary(compiled)
    usage = Usage(resources.registers, resources.shared, compiled.warps, compiled.tensor_memory)
    return Inspection(
        spec=spec,
        kernel=compiled.name,
        variant=describe_constants(compiled.constants),
        title=launch.title,
        target=compiled.target.name,
        warps=compiled.warps,
        stages=compiled.stages,
        registers=resources.registers,
        spills=resources.spills,
        scalar_spills=resources.scalar_spills,
        shared=resources.shared,
        tensor_memory=compiled.tensor_memory,
        occupancy=occupancy(usage, compiled.target),
        matrix_instructions=instructions.matrix,
        copies=instructions.copies,
        loads=widths(instructions.accesses, is_store=False),
        stores=widths(instructions.accesses, is_store=True),
        launches=launches,
        matrices=matrices,
    )
