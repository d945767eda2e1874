"""What AMD's assembly says of a kernel: the metadata at its end, and its instructions.

The assembly is what the binary is assembled from, one instruction for one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

from muondsl.aot.accesses import Access, Place, ranks_of_places
from muondsl.aot.compile_launch import Compiled
from muondsl.aot.errors import CompilationFailedError
from muondsl.aot.instructions import Instructions, Resources
from muondsl.aot.source_places import rows_with_places

_INSTRUCTION = re.compile(r"^\s+([a-z]+_\w+)(.*)")
_MATRIX = {"v_mfma_": "MFMA", "v_smfmac_": "SMFMAC"}
_ACCESS = re.compile(r"^(?:global|buffer|flat|s|s_buffer)_(load|store)_(?:lds_)?(\w+)$")
_WIDTHS = {"dword": 4, "dwordx2": 8, "dwordx3": 12, "dwordx4": 16, "dwordx8": 32, "dwordx16": 64}


def read_hip(compiled: Compiled) -> tuple[Resources, Instructions]:
    """`.vgpr_count` is of the whole file, accumulators among them. Spills are the bytes of a lane's scratch memory, or
    of what is moved to accumulators for want of registers where there is no scratch memory.
    """
    text = compiled.texts["amdgcn"]
    scratch = _metadata(text, "private_segment_fixed_size")
    resources = Resources(
        registers=_metadata(text, "vgpr_count"),
        spills=scratch or 4 * _metadata(text, "vgpr_spill_count"),
        shared=_metadata(text, "group_segment_fixed_size") + compiled.shared,
        scalar_spills=_metadata(text, "sgpr_spill_count"),
    )
    return resources, count_amdgcn(text, ranks_of_places(compiled.texts["ttgir"]))


def count_amdgcn(text: str, ranks: Mapping[Place, str]) -> Instructions:
    """Counts the instructions in the assembly. Scalar loads that no place in the source asks for fetch the kernel's
    arguments, and are not counted.
    """
    matrix: Counter[str] = Counter()
    copies: Counter[str] = Counter()
    accesses = []
    for row, place in rows_with_places(text):
        instruction = _INSTRUCTION.match(row)
        if instruction is None:
            continue
        name, operands = instruction.groups()
        for prefix, kind in _MATRIX.items():
            matrix[kind] += name.startswith(prefix)
        access = _ACCESS.match(name)
        rank = ranks.get(place, "other") if place else "other"
        if access is None or (rank == "other" and name.startswith("s_load")):
            continue
        if "_lds_" in name or operands.split(";")[0].rstrip().endswith(" lds"):
            copies[name] += 1
        accesses.append(Access(access[1] == "store", _width(access[2]), rank))
    return Instructions(dict(+matrix), dict(sorted(copies.items())), tuple(accesses))


def _width(suffix: str) -> int:
    if suffix in _WIDTHS:
        return _WIDTHS[suffix]
    return 1 if "byte" in suffix else 2


def _metadata(text: str, key: str) -> int:
    found = re.search(rf"^\s*(?:- )?\.{key}:\s+(\d+)", text, re.MULTILINE)
    if found is None:
        raise CompilationFailedError(f"the assembly has no .{key}")
    return int(found[1])
