"""Triton's interpreter, twice as fast: its functions are put into the language once and not at every call."""

from __future__ import annotations

from typing import Any


def quicken_interpreter() -> None:
    """Around every call of a device function the interpreter replaces all functions of the language and puts them back,
    which takes as long as everything else. A process that runs nothing else can leave them where they are.

    Does nothing where Triton's interpreter is built in another way: it is slow then.
    """
    import triton.language as tl
    from triton.runtime import interpreter

    replace_functions = getattr(interpreter, "_patch_lang", None)
    nothing_to_restore = getattr(interpreter, "_LangPatchScope", None)
    if replace_functions is None or nothing_to_restore is None:
        return
    done: set[tuple[bool, bool]] = set()

    def replace_once(function: Any) -> Any:
        found = function.__globals__.values()
        modules = any(value is tl for value in found), any(value is tl.core for value in found)
        if modules not in done:
            done.add(modules)
            replace_functions(function)
        return nothing_to_restore()

    interpreter._patch_lang = replace_once
