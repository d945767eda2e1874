"""A folder in, the rows of its specs out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from muondsl.diagnostics.render import render
from muondsl.diagnostics.spec_error import SpecError
from muondsl.family.spec_to_member import spec_to_member

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from muondsl.diagnostics.diagnostic import Diagnostic
    from muondsl.family.member import Member


def read_family(paths: Iterable[Path]) -> tuple[list[Member], list[Diagnostic]]:
    """The specs among the files, in their order, and the errors of the others: one of a parent once for them all."""
    members: list[Member] = []
    errors: dict[str, Diagnostic] = {}
    for path in paths:
        try:
            if member := spec_to_member(path):
                members.append(member)
        except SpecError as error:
            errors |= {render(each): each for each in error.diagnostics}
    return members, list(errors.values())
