"""Which place of the source the rows of an assembly come from, by its `.file` and `.loc` directives."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from muondsl.aot.accesses import Place

_FILE = re.compile(r'^\s*\.file\s+(\d+) (?:"([^"]*)" )?"([^"]*)"', re.MULTILINE)
_LOC = re.compile(r"^\s*\.loc\s+(\d+) (\d+) (\d+)")


def rows_with_places(assembly: str) -> Iterator[tuple[str, Place | None]]:
    """Every row with the place that holds for it: that of an inlined function's body is in the function."""
    files = {number: str(PurePosixPath(folder, name)) for number, folder, name in _FILE.findall(assembly)}
    place: Place | None = None
    for row in assembly.splitlines():
        if found := _LOC.match(row):
            number, line, column = found.groups()
            place = (files[number], int(line), int(column)) if line != "0" else None
        yield row, place
