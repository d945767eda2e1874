"""Commands that look at GPUs that need not be there: what kernels compile to, what a step costs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from muondsl.command_options import SPEC, dtype_option, numerics_options, shapes_option, target_option

if TYPE_CHECKING:
    from collections.abc import Iterator

    from muondsl.aot.inspection import Inspection


def compile_for(specs: tuple[Path, ...], target_names: tuple[str, ...], numerics: Any, precision: Any) -> Iterator[str]:
    from muondsl.aot.print_inspections import to_summary

    for spec in specs:
        yield from to_summary(_inspections((spec,), target_names, numerics, precision))


@click.command()
@click.argument("specs", nargs=-1, required=True, type=SPEC)
@target_option
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list instead of a table.")
@numerics_options
def inspect(
    specs: tuple[Path, ...], target_names: tuple[str, ...], as_json: bool, numerics: Any, precision: Any
) -> None:
    """Compile the kernels of SPECS for targets, and print what their binaries say.

    Of each kernel: registers, spills (bytes a thread), shared memory (bytes a block), blocks a multiprocessor and what
    bounds them, matrix instructions, asynchronous copies, and the widths of loads and stores (bytes × instructions).
    """
    import json

    from muondsl.aot.print_inspections import to_data, to_table

    inspections = _inspections(specs, target_names, numerics, precision)
    click.echo(json.dumps(to_data(inspections), indent=1, ensure_ascii=False) if as_json else to_table(inspections))


def _inspections(
    specs: tuple[Path, ...], target_names: tuple[str, ...], numerics: Any, precision: Any
) -> list[Inspection]:
    """Without a name, for all targets."""
    from muondsl.aot.inspect_class import inspect_class
    from muondsl.aot.targets import TARGETS, find_target
    from muondsl.interface import load

    targets = [find_target(name) for name in target_names or TARGETS]
    return [one for spec in specs for one in inspect_class(load(spec, numerics=numerics, precision=precision), targets)]


@click.command()
@click.argument("spec", type=SPEC)
@shapes_option
@click.option("--device", "device_name", required=True, metavar="NAME", help="a100, h100, h200, b200 or mi300x.")
@dtype_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@numerics_options
def cost(spec: Path, shapes: str, device_name: str, dtype: Any, as_json: bool, numerics: Any, precision: Any) -> None:
    """Print what a step of SPEC costs on a GPU, modelled: FLOPs, bytes, launches, and the time that a roofline gives.

    Beside it stands the same step made of torch's own operators, one parameter after the other. No GPU is needed.
    """
    import json

    from muondsl.cost.devices import find_device
    from muondsl.cost.estimate import estimate
    from muondsl.cost.report import to_text
    from muondsl.cost.shapes import find_shapes
    from muondsl.cost.summary import to_data
    from muondsl.pipeline import Options

    device, parameters = find_device(device_name), find_shapes(shapes)
    found = estimate(spec, parameters, device, parameters=dtype, options=Options(numerics, precision))
    click.echo(json.dumps(to_data(found, shapes), indent=1, ensure_ascii=False) if as_json else to_text(found, shapes))
