"""The one exception of the compiler: a spec that cannot be compiled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from muondsl.diagnostics.render import render

if TYPE_CHECKING:
    from collections.abc import Iterable

    from muondsl.diagnostics.diagnostic import Diagnostic


class SpecError(Exception):
    """A spec that cannot be compiled; `diagnostics` holds every error found, in the order of their places."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(sorted(set(diagnostics), key=_order))
        super().__init__(self.diagnostics)

    def __str__(self) -> str:
        return "\n".join(render(diagnostic) for diagnostic in self.diagnostics)


def _order(diagnostic: Diagnostic) -> tuple[str, int, int, str, str]:
    span = diagnostic.span
    return span.source.name, span.start, span.end, diagnostic.code, diagnostic.message()
