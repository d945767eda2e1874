"""Where the checker puts what it finds."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from muondsl.diagnostics.diagnostic import Diagnostic, Label


class Abandoned(Exception):  # noqa: N818
    """What was being checked has an error that is reported already; go on behind it."""


@dataclass
class Report:
    """Diagnostics in the order found; `uses` are the uses of rules around the place being checked, innermost first."""

    found: list[Diagnostic] = field(default_factory=list)
    uses: tuple[Label, ...] = ()

    def add(self, diagnostic: Diagnostic) -> None:
        self.found.append(replace(diagnostic, context=self.uses))

    def abandon(self, diagnostic: Diagnostic) -> NoReturn:
        self.add(diagnostic)
        raise Abandoned
