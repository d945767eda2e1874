"""The comments of generated code: above each step, where it stands in the spec and what it computes."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
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
    """Follows the steps of an update as they are printed, and says of each what has not been said."""

    update: typed.Update
    stage: str = ""
    place: str = ""

    def __post_init__(self) -> None:
        self.formulas = {
            (stage.heading, place): text for stage in self.update.stages for place, text in statement_mathematics(stage)
        }
        self.places = {stage.heading: stage.span.place for stage in self.update.stages}

    def above(self, origin: ir.Origin, note: str = "") -> list[str]:
        lines: list[str] = []
        if origin.stage != self.stage:
            heading = "apply" if origin.stage == "apply" else f"{self.places[origin.stage]}: {origin.stage}"
            lines += ["", *comment_lines(heading)]
            self.stage, self.place = origin.stage, ""
        if note:
            return [*lines, *comment_lines(note)]
        place = origin.place or self.place
        formula = self.formulas.get((origin.stage, place))
        if place != self.place and formula:
            lines += comment_lines(f"{formula}  ({place})")
        self.place = place
        return lines

    def provenance(self, origin: ir.Origin, note: str = "") -> Provenance:
        """What `above` says of a step, said of each."""
        if origin.stage != self.stage:
            self.stage, self.place = origin.stage, ""
        if note:
            return Provenance(origin.stage, note)
        self.place = origin.place or self.place
        return Provenance(origin.stage, self.formulas.get((origin.stage, self.place), ""), self.place)


def comment_lines(text: str) -> list[str]:
    """The text as comment lines of moderate width."""
    return [f"# {line}" for line in textwrap.wrap(visible(text), WIDTH - 12, subsequent_indent="  ")]
