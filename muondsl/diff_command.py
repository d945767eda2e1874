"""The command that tells two specs apart."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from muondsl.command_options import SPEC, print_errors
from muondsl.diagnostics.spec_error import SpecError

if TYPE_CHECKING:
    from pathlib import Path

    from muondsl.check import CheckedSpec
    from muondsl.diagnostics.diagnostic import Diagnostic


@click.command()
@click.argument("a", type=SPEC)
@click.argument("b", type=SPEC)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def diff(a: Path, b: Path, as_json: bool) -> None:
    """Tell the specs A and B apart by what they compute, stage by stage, in words and numbers.

    Rules count by what they do: one that is written out as a block is no difference. The exit status is 0 where both
    compute the same, 1 where they do not, and 2 where one of them has errors.
    """
    import json

    from muondsl.compare import compare
    from muondsl.compare.comparison_to_data import to_data
    from muondsl.compare.comparison_to_text import to_text

    try:
        comparison = compare(*_checked(a, b))
    except SpecError as error:
        print_errors(error)
        sys.exit(2)
    click.echo(json.dumps(to_data(comparison), indent=1, ensure_ascii=False) if as_json else to_text(comparison))
    click.get_current_context().exit(0 if comparison.is_same else 1)


def _checked(*paths: Path) -> list[CheckedSpec]:
    """The specs. Raises SpecError with the errors of all of them."""
    from muondsl.check import check
    from muondsl.parse import read

    specs: list[CheckedSpec] = []
    errors: list[Diagnostic] = []
    for path in paths:
        try:
            specs.append(check(read(path), path.parent))
        except SpecError as error:
            errors += error.diagnostics
    if errors:
        raise SpecError(errors)
    return specs
