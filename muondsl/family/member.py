"""A spec as a row: cells of text, all of them taken from the spec and from what the checker makes of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from muondsl.parse.ast import STAGES

if TYPE_CHECKING:
    from muondsl.ir.types import Format

BYTES: dict[Format, int] = {"bf16": 2, "fp16": 2, "fp32": 4, "fp64": 8}
PER_ELEMENT = {
    "": "",
    "rows, cols": "",
    "rows, 1": "/cols",
    "1, cols": "/rows",
    "1, 1": "/numel",
    "long": "/short",
    "short": "/long",
}
"""What the bytes of a number are divided by, for a state of this shape, to give those of an element of the matrix."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of a spec, its own or its parent's.

    `short` are the names of the rules in it, with `…` for what else is assigned, or its expression; `line` is all of it
    on one line, with the arguments that the spec leaves to a rule's defaults; of a long block, the rules it uses.
    `text` is what the formatter makes of it. `where` says what the spec's own names are that it reads.
    """

    name: str
    short: str
    line: str
    text: str
    where: str


@dataclass(frozen=True, slots=True)
class Kept:
    """A state. `format` is None where it is the parameter's; `shape` is a key of `PER_ELEMENT`, empty where it is that
    of a parameter of any shape.
    """

    name: str
    shape: str
    format: Format | None

    def __str__(self) -> str:
        shape = f"[{self.shape}]" if self.shape else ""
        return f"{self.name}{shape}" + (f": {self.format}" if self.format else "")


@dataclass(frozen=True, slots=True)
class Member:
    """A spec of the family.

    `file` is the file's name without `.muon`. `hypers` are `name = default`. `routes` are names of routes, each with
    its condition, `views` what is seen as other matrices than it is stored as. `divided_by` holds, as formulas, what
    `orthogonalize` divides by to bring the matrix to size. `states` are those of matrices, `other_states` those of the
    route `otherwise`. `obstacle` says why there are no Triton kernels; it is empty where there are.
    """

    file: str
    name: str
    parent: str | None
    docstring: str
    citations: tuple[str, ...]
    hypers: tuple[str, ...]
    has_matrices: bool
    routes: tuple[tuple[str, str], ...]
    views: tuple[str, ...]
    stages: tuple[Stage, ...]
    divided_by: tuple[str, ...]
    otherwise: Stage | None
    states: tuple[Kept, ...]
    other_states: tuple[Kept, ...]
    obstacle: str

    def stage(self, *names: str) -> tuple[Stage, ...]:
        """Those of the stages of these names that the spec has, in the order in which they run."""
        assert set(names) <= set(STAGES), names
        return tuple(stage for stage in self.stages if stage.name in names)


def bytes_an_element(states: tuple[Kept, ...]) -> str:
    """What the states take for each element of an fp32 parameter, in bytes: `4 + 4/cols`."""
    found: Counter[str] = Counter()
    for state in states:
        found[state.shape] += BYTES[state.format or "fp32"]
    return " + ".join(f"{found[shape]}{part}" for shape, part in PER_ELEMENT.items() if found[shape]) or "0"
