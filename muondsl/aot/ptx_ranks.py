"""What an instruction of an NVIDIA binary accesses, by way of the PTX text.

LLVM counts the lines of inline assembly as lines of the source, so a load that Triton writes as

    .loc 1 18 9     // begin inline asm
    .loc 1 18 9     mov.u32 %r1, 0;
    .loc 1 19 9     @%p1 ld.global.v2.b32 { %r1, %r2 }, [ %rd7 + 0 ];

is of line 19 in the binary. Its true place is the one where the inline assembly begins.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from muondsl.aot.accesses import Place, higher
from muondsl.aot.source_places import rows_with_places

Instruction = tuple[str, int, bool, int | None]
"""The file and line that the binary has for an access, whether it stores, and its width in bytes, or None for any."""

_ACCESS = re.compile(r"\b(ld|st)\.[\w.:]*?global[\w.:]*?(?:\.v(\d))?\.[a-z](\d+) ")
_ASYNC = re.compile(r"\bcp\.async\.c[ag]\.shared\.global[^\[]*\[[^\]]*\], \[[^\]]*\], (0x[0-9a-f]+)")


def ranks_of_instructions(ptx: str, ranks: Mapping[Place, str]) -> dict[Instruction, str]:
    """The rank of what accesses of one line, kind and width touch: where there are several, the highest. The assembler
    may narrow an access of which only a half is used, so there is an entry for any width as well.
    """
    found: dict[Instruction, str] = {}
    begins = False
    origin: Place | None = None
    is_inline = False
    for row, place in rows_with_places(ptx):
        if "// begin inline asm" in row:
            origin, is_inline, begins = place, True, True
        elif "// end inline asm" in row:
            is_inline = False
        elif begins and row.strip():
            origin, begins = place, False
        access = _access(row)
        if access and place:
            rank = ranks.get(origin if is_inline and origin else place, "other")
            is_store, width = access
            for key in ((*place[:2], is_store, width), (*place[:2], is_store, None)):
                found[key] = higher(found.get(key), rank)
    return found


def _access(row: str) -> tuple[bool, int] | None:
    """`ld.global.v4.b32` → (False, 16)."""
    if found := _ACCESS.search(row):
        return found[1] == "st", int(found[2] or 1) * int(found[3]) // 8
    if copy := _ASYNC.search(row):
        return False, int(copy[1], 16)
    return None
