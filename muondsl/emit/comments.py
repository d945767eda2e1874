"""The comments of generated code: above each step, where it stands in the spec and what it computes."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from muondsl.diagnostics.render import visible
from muondsl.emit.files import Provenance
from muondsl.emit.mathematics import statement_mathematics

if TYPE_CHECKING:
    from muondsl.check import typed
    from muondsl.ir import program as ir

WIDTH = 120
"""Of a line of generated code."""


@dataclass
class Comments:
    """Follows the steps of an update as they are printed, and says of each what has not been said. `provenance` is
    where each of them comes from.
    """

    update: typed.Update
    stage: str = ""
    place: str = ""
    provenance: list[Provenance] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.formulas = {
            (stage.heading, place): text for stage in self.update.stages for place, text in statement_mathematics(stage)
        }
        self.places = {stage.heading: stage.span.place for stage in self.update.stages}

    def heading(self, stage: str) -> list[str]:
        if stage == self.stage:
            return []
        self.stage, self.place = stage, ""
        return ["", *comment_lines("apply" if stage == "apply" else f"{self.places[stage]}: {stage}")]

    def above(self, origin: ir.Origin, note: str = "") -> list[str]:
        """What stands above a step."""
        lines = self.heading(origin.stage)
        if note:
            self.provenance.append(Provenance(origin.stage, note))
            return [*lines, *comment_lines(note)]
        place = origin.place or self.place
        formula = self.formulas.get((origin.stage, place), "")
        if place != self.place and formula:
            lines += comment_lines(f"{formula}  ({place})")
        self.place = place
        self.provenance.append(Provenance(origin.stage, formula, place))
        return lines


def comment_lines(text: str) -> list[str]:
    """The text as comment lines of moderate width."""
    return [f"# {line}" for line in textwrap.wrap(visible(text), WIDTH - 12, subsequent_indent="  ")]
