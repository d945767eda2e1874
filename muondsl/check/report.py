"""Where the checker puts what it finds."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NoReturn

from muondsl.diagnostics.errors_rules import ProgramTooLarge

if TYPE_CHECKING:
    from muondsl.diagnostics.diagnostic import Diagnostic, Label
    from muondsl.diagnostics.span import Span

MAXIMUM_WORK = 50_000
"""Expressions and statements that are looked at, those of a rule once for each use."""


MAXIMUM_USES = 5
"""Uses of rules that are shown with an error: the innermost, and that of the spec."""


class Abandoned(Exception):  # noqa: N818
    """What was being checked has an error that is reported already; go on behind it."""


class Stopped(Exception):  # noqa: N818
    """The spec has an error that is reported already, and nothing more of it can be checked."""


@dataclass
class Report:
    """Errors in the order found, and warnings; `uses` are the uses of rules around the place being checked, innermost
    first.

    `failures` counts what could not be checked, for its own error or that of something it reads: where it has grown,
    what seems to be missing may only be unknown.
    """

    found: list[Diagnostic] = field(default_factory=list)
    warnings: list[Diagnostic] = field(default_factory=list)
    uses: tuple[Label, ...] = ()
    failures: int = 0
    work: int = 0

    def add(self, diagnostic: Diagnostic) -> None:
        self.failures += 1
        self.found.append(self._placed(diagnostic))

    def warn(self, diagnostic: Diagnostic) -> None:
        """Keeps what is no error, once for each place."""
        if diagnostic not in self.warnings:
            self.warnings.append(self._placed(diagnostic))

    def _placed(self, diagnostic: Diagnostic) -> Diagnostic:
        uses = self.uses if len(self.uses) <= MAXIMUM_USES else (*self.uses[: MAXIMUM_USES - 1], self.uses[-1])
        return replace(diagnostic, context=uses)

    def abandon(self, diagnostic: Diagnostic) -> NoReturn:
        self.add(diagnostic)
        raise Abandoned

    def skip(self) -> NoReturn:
        """Gives up on what reads something that has an error."""
        self.failures += 1
        raise Abandoned

    def stop(self, diagnostic: Diagnostic) -> NoReturn:
        """Gives up on the whole spec, where to go on would take too long."""
        self.add(diagnostic)
        raise Stopped

    def spend(self, span: Span, amount: int = 1) -> None:
        """Counts expressions and statements looked at, rules as often as they are used."""
        self.work += amount
        if self.work > MAXIMUM_WORK:
            self.stop(ProgramTooLarge(span, f"there are more than {MAXIMUM_WORK} expressions and statements"))
