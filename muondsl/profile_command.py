"""`muondsl profile`: where the time of a step goes on this CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from muondsl.command_options import SPEC, dtype_option, numerics_options, shapes_option


@click.command()
@click.argument("spec", type=SPEC)
@shapes_option
@dtype_option
@click.option(
    "--steps",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="So many steps are measured, and as many without the profile; the median of each is taken.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@numerics_options
def profile(spec: Path, shapes: str, dtype: Any, steps: int, as_json: bool, numerics: Any, precision: Any) -> None:
    """Step parameters by SPEC on this CPU, on one thread, and print where the time of a step goes.

    For each statement of the spec: operations, time, share, rates, and how near they come to what this CPU reaches at
    best. Of large parameters one of each shape is stepped, and its times are multiplied by how many have that shape.
    """
    import json

    from muondsl.cost.shapes import find_shapes
    from muondsl.measure.profile import profile_steps
    from muondsl.measure.report import to_data, to_text
    from muondsl.pipeline import Options

    found = profile_steps(
        spec, find_shapes(shapes), parameters=dtype, steps=steps, options=Options(numerics, precision)
    )
    click.echo(json.dumps(to_data(found, shapes), indent=1, ensure_ascii=False) if as_json else to_text(found, shapes))
