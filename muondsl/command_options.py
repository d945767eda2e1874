"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from muondsl.diagnostics.spec_error import SpecError

SPEC = click.Path(path_type=Path)
FORMATS = click.Choice(["bf16", "fp16", "fp32", "fp64"])


def numerics_options(command: Callable[..., None]) -> Callable[..., None]:
    numerics = click.option(
        "--numerics",
        type=click.Choice(["fast", "faithful"]),
        default="fast",
        show_default=True,
        help="faithful keeps the order of operations as written; fast may reassociate.",
    )
    precision = click.option("--precision", type=FORMATS, help="The number format of every `in` block.")
    return numerics(precision(command))


def shapes_option(command: Callable[..., None]) -> Callable[..., None]:
    return click.option(
        "--shapes",
        required=True,
        metavar="gpt2|llama-70b|FILE",
        help="The parameters: a set that has a name, or a file with a name and its sizes in each line, or of JSON.",
    )(command)


def dtype_option(command: Callable[..., None]) -> Callable[..., None]:
    return click.option(
        "--dtype",
        type=click.Choice(["bf16", "fp16", "fp32"]),
        default="fp32",
        show_default=True,
        help="The number format of parameters and gradients.",
    )(command)


def target_option(command: Callable[..., None]) -> Callable[..., None]:
    return click.option(
        "--target",
        "target_names",
        multiple=True,
        metavar="NAME",
        help="sm_80, sm_90, sm_100 or gfx942; may be given several times. No device is needed.",
    )(command)


def print_errors(error: SpecError) -> None:
    click.echo(str(error), err=True)
    count = len(error.diagnostics)
    click.echo(f"{count} error{'s' if count > 1 else ''}; `muondsl explain CODE` tells more", err=True)
