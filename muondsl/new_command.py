"""The command that starts a variant of a spec."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from muondsl.command_options import SPEC

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@click.argument("name")
@click.option("--from", "parent", type=SPEC, required=True, metavar="SPEC", help="The spec that it is a variant of.")
@click.option(
    "--directory", type=SPEC, default=None, help="Where to write it, which must have SPEC too.  [default: beside SPEC]"
)
def new(name: str, parent: Path, directory: Path | None) -> None:
    """Start a variant of a spec: NAME.muon, which extends SPEC and shows in comments what may be changed.

    Until something is uncommented, it computes what SPEC computes.
    """
    from muondsl.emit.write import replace_text
    from muondsl.parent_to_variant import VariantError, parent_to_variant

    try:
        variant = parent_to_variant(name, parent, directory)
        replace_text(variant.path, variant.text)
    except VariantError as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"cannot write: {error.strerror or error}") from error
    click.echo(f"{variant.path.as_posix()} written: {variant.name}, which changes nothing yet")
