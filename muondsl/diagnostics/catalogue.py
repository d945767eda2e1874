"""Every diagnostic by its code. Codes never change meaning and are never used again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from muondsl.diagnostics import (
    errors_functions,
    errors_names,
    errors_output,
    errors_routes,
    errors_rules,
    errors_spec,
    errors_text,
    errors_types,
    warnings_cost,
)
from muondsl.diagnostics.diagnostic import Diagnostic

if TYPE_CHECKING:
    from collections.abc import Iterator


MODULES = (
    errors_text,
    errors_names,
    errors_types,
    errors_functions,
    errors_spec,
    errors_rules,
    errors_routes,
    errors_output,
    warnings_cost,
)


def _classes() -> Iterator[type[Diagnostic]]:
    for module in MODULES:
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, Diagnostic) and value is not Diagnostic:
                yield value


CATALOGUE: dict[str, type[Diagnostic]] = {
    diagnostic.code: diagnostic for diagnostic in sorted(_classes(), key=lambda diagnostic: diagnostic.code)
}
