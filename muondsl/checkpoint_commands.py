"""The command that converts checkpoints."""

from __future__ import annotations

import ast
from pathlib import Path

import click

from muondsl.command_options import SPEC

SYSTEMS = "torch.optim.Muon|keras.optimizers.Muon|nanochat.MuonAdamW|SPEC|nanochat:SPEC"


def _hypers(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> dict[str, object]:
    """Values as Python writes them: numbers, tuples, texts, True, False, None."""
    values = {}
    for each in given:
        name, _, text = each.partition("=")
        try:
            values[name.strip()] = ast.literal_eval(text.strip())
        except (ValueError, SyntaxError):
            raise click.BadParameter(f"{each!r} is not NAME=VALUE with a value as in Python") from None
    return values


@click.command()
@click.argument("checkpoint", type=SPEC)
@click.option("--from", "source", required=True, metavar="SYSTEM", help=f"Who saved it: {SYSTEMS}.")
@click.option("--to", "target", required=True, metavar="SYSTEM", help="Who is to load it: one of the same.")
@click.option("-o", "--output", type=SPEC, required=True, help="The file to write.")
@click.option("--entry", metavar="NAME", help="The entry of CHECKPOINT that holds the optimizer's state; others stay.")
@click.option("--momentum", type=float, help="The momentum that held while the buffers were filled, where it changed.")
@click.option("--step", type=int, help="How many steps were taken, where the checkpoint does not count them.")
@click.option("--drop", multiple=True, metavar="NAME", help="A state, or a route, that may be lost.")
@click.option("--fresh", multiple=True, metavar="NAME", help="A state of the target, or a route, that begins anew.")
@click.option("--as-is", multiple=True, metavar="NAME", help="A state to take over though it means something else.")
@click.option(
    "--hyper",
    "hypers",
    multiple=True,
    metavar="NAME=VALUE",
    callback=_hypers,
    help="A value for the groups that are written, in place of the checkpoint's.",
)
def convert(
    checkpoint: Path,
    source: str,
    target: str,
    output: Path,
    entry: str | None,
    momentum: float | None,
    step: int | None,
    drop: tuple[str, ...],
    fresh: tuple[str, ...],
    as_is: tuple[str, ...],
    hypers: dict[str, object],
) -> None:
    """Make the optimizer state in CHECKPOINT one that another optimizer loads, and say what was done to it.

    Momentum is brought into the target's unit (a decaying sum is 1/(1 − μ) times the average); states are stacked,
    taken apart or transposed. What cannot be right is refused, and then nothing is written.
    """
    from muondsl.conversion.convert import convert as convert_state
    from muondsl.conversion.files import entry_of, read_checkpoint, write_checkpoint

    saved = read_checkpoint(checkpoint)
    state = entry_of(saved, entry)
    found = convert_state(
        state,
        source,
        target,
        momentum=momentum,
        step=step,
        drop=drop,
        fresh=fresh,
        as_is=as_is,
        hypers=hypers,
    )
    write_checkpoint(found.checkpoint if entry is None else {**saved, entry: found.checkpoint}, output)
    click.echo(found.report)
    click.echo(f"{output.as_posix()} written")
