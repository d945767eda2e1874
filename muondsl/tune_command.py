"""`muondsl tune`: measures this machine, and keeps what it finds in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from muondsl.command_options import SPEC


@click.command()
@click.option(
    "--device",
    type=click.Choice(["gpu", "cpu"]),
    help="What to measure (default: the GPU, where there is one).",
)
@click.option("-o", "--output", type=SPEC, help="The file (default: tiles.json, for a CPU processors.json).")
def tune(device: Literal["gpu", "cpu"] | None, output: Path | None) -> None:
    """Measure this machine, and add what is found to a file: of a GPU the fastest tiles of products, of a CPU the rates
    by which a step chooses how it multiplies.

    MUONDSL_TILES and MUONDSL_CPU name the files to use.
    """
    import torch

    if output and not output.parent.is_dir():
        raise click.ClickException(f"there is no directory {output.parent.as_posix()} to write {output.name} into")
    if device == "cpu" or (device is None and not torch.cuda.is_available()):
        _tune_cpu(output or Path("processors.json"))
    else:
        _tune_gpu(output or Path("tiles.json"))


def _tune_gpu(output: Path) -> None:
    from muondsl.aot.tune import tune_device
    from muondsl.runtime.tuned_tiles import TILES_VARIABLE, MalformedTilesError, TunedTiles, read_tiles

    try:
        before = read_tiles(output) if output.exists() else TunedTiles()
    except MalformedTilesError as error:
        raise click.ClickException(str(error)) from error
    _write(output, before.updated(tune_device(report=click.echo)).to_json(), TILES_VARIABLE)


def _tune_cpu(output: Path) -> None:
    from muondsl.measure.measured_processor import measured_processor
    from muondsl.runtime.processor import (
        PROCESSORS_VARIABLE,
        MalformedProcessorsError,
        read_processors,
        to_processors_file,
    )

    try:
        before = {each.name: each for each in read_processors(output)} if output.exists() else {}
    except MalformedProcessorsError as error:
        raise click.ClickException(str(error)) from error
    found = measured_processor(report=click.echo)
    _write(output, to_processors_file((before | {found.name: found}).values()), PROCESSORS_VARIABLE)


def _write(output: Path, text: str, variable: str) -> None:
    from muondsl.emit.write import replace_text

    replace_text(output, text)
    click.echo(f"{output.as_posix()} written; set {variable}={output.as_posix()} to use it")
