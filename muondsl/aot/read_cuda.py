"""What an NVIDIA binary says of a kernel: `cuobjdump` its resources, `nvdisasm` its instructions."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from muondsl.aot.accesses import Access, ranks_of_places
from muondsl.aot.compile_launch import Compiled
from muondsl.aot.errors import CompilationFailedError
from muondsl.aot.instructions import Instructions, Resources
from muondsl.aot.ptx_ranks import Instruction, ranks_of_instructions

_USAGE = re.compile(r"REG:(\d+) STACK:(\d+) SHARED:(\d+) LOCAL:(\d+)")
_LINE = re.compile(r'//## File "([^"]+)", line (\d+)')
_INSTRUCTION = re.compile(r"/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?([A-Z][\w.]*)")

# HMMA 16-bit and TF32 operands, IMMA integers, DMMA doubles, BMMA bits; …GMMA is Hopper's for a group of warps; UTC…MMA
# is Blackwell's, on tensor memory: UTCHMMA 16-bit and TF32, UTCQMMA 8-bit, UTCOMMA block-scaled 4-bit, UTCIMMA
# integers. HFMA2.MMA is none: it is a vector instruction of the half-precision pipe.
_MATRIX = re.compile(r"^(?:[HIDBQO]MMA|[A-Z]GMMA|UTC[A-Z]MMA)$")
_COPIES = ("UTMALDG", "UTMASTG", "UTMAREDG", "UBLKCP", "LDGSTS")
_LOADS = ("LDG", "LD", "LDGSTS")
_STORES = ("STG", "ST")


def read_cuda(compiled: Compiled) -> tuple[Resources, Instructions]:
    """Spills are the bytes of a thread's own memory, which Triton uses for nothing else."""
    with TemporaryDirectory(prefix="muondsl-") as folder:
        path = Path(folder) / "kernel.cubin"
        path.write_bytes(compiled.binary)
        usage = _USAGE.search(_run("cuobjdump", "-res-usage", path))
        text = _run("nvdisasm", "-c", "-g", path)
    if usage is None:
        raise CompilationFailedError(f"cuobjdump reports no resources of {compiled.name}")
    registers, stack, shared, local = map(int, usage.groups())
    # The block's reserved KiB is part of the static size on sm_90 and later, and of no size before.
    static = max(shared - compiled.target.shared_reserved, 0)
    ranks = ranks_of_instructions(compiled.texts["ptx"], ranks_of_places(compiled.texts["ttgir"]))
    return Resources(registers, max(stack, local), static + compiled.shared), count_sass(text, ranks)


def count_sass(text: str, ranks: Mapping[Instruction, str]) -> Instructions:
    """Counts the instructions in what `nvdisasm -c -g` prints."""
    matrix: Counter[str] = Counter()
    copies: Counter[str] = Counter()
    accesses = []
    for file, line, mnemonic in _instructions(text):
        name, *modifiers = mnemonic.split(".")
        if _MATRIX.match(name):
            matrix[name] += 1
        if name in _COPIES:
            copies[name] += 1
        if name in _LOADS or name in _STORES:
            is_store, width = name in _STORES, _width(modifiers)
            rank = ranks.get((file, line, is_store, width)) or ranks.get((file, line, is_store, None), "other")
            accesses.append(Access(is_store, width, rank))
    return Instructions(dict(sorted(matrix.items())), dict(sorted(copies.items())), tuple(accesses))


def _instructions(text: str) -> Iterator[tuple[str, int, str]]:
    """The file, line and mnemonic of every instruction."""
    file, line = "", 0
    for row in text.splitlines():
        if place := _LINE.search(row):
            file, line = place[1], int(place[2])
        elif instruction := _INSTRUCTION.search(row):
            yield file, line, instruction[1]


def _width(modifiers: list[str]) -> int:
    """`LDG.E.128` → 16, `LDG.E.ENL2.256` → 32, `LDG.E.U16` → 2, `LDG.E` → 4; `LTC128B` is a hint to the cache."""
    for modifier in modifiers:
        if modifier in ("64", "128", "256"):
            return int(modifier) // 8
        if modifier in ("U8", "S8"):
            return 1
        if modifier in ("U16", "S16"):
            return 2
    return 4


def _run(tool: str, *arguments: str | Path) -> str:
    from triton import knobs

    path = getattr(knobs.nvidia, tool).path
    try:
        done = subprocess.run([path, *arguments], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise CompilationFailedError(f"{tool}, which comes with Triton, does not read the binary: {error}") from error
    return done.stdout
