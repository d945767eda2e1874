"""The command line. Diagnostics go to standard error and make the exit status 1; nothing else is decided here.

Those that need more than a few lines stand in files of their own.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from muondsl import __version__
from muondsl.aot.errors import AheadOfTimeError
from muondsl.checkpoint_commands import convert
from muondsl.command_options import SPEC, numerics_options, print_errors, target_option
from muondsl.conversion.finding import ConversionError
from muondsl.cost.errors import CostError
from muondsl.diagnostics.spec_error import SpecError
from muondsl.diff_command import diff
from muondsl.gpu_commands import cost, inspect
from muondsl.list_command import list_family
from muondsl.new_command import new
from muondsl.profile_command import profile
from muondsl.tune_command import tune

if TYPE_CHECKING:
    from muondsl.diagnostics.diagnostic import Diagnostic
    from muondsl.pipeline import Pipeline


class Commands(click.Group):
    """Commands in the order in which a newcomer needs them, with errors of specs printed and not raised."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (AheadOfTimeError, ConversionError, CostError) as error:
            raise click.ClickException(str(error)) from error
        except SpecError as error:
            print_errors(error)
            sys.exit(1)


@click.group(cls=Commands)
@click.version_option(__version__, prog_name="muondsl")
def main() -> None:
    """Compiles optimizers of the Muon family from specs."""


@main.command()
@click.argument("specs", nargs=-1, required=True, type=SPEC)
@click.option("-o", "--output", type=SPEC, default=Path("generated"), show_default=True, help="The directory.")
@click.option("--check", is_flag=True, help="Write nothing; fail if a file is not what its spec yields.")
@click.option("--standalone", is_flag=True, help="Put the runtime into the file, which then needs torch alone.")
@target_option
@numerics_options
def compile(
    specs: tuple[Path, ...],
    output: Path,
    check: bool,
    standalone: bool,
    target_names: tuple[str, ...],
    numerics: Any,
    precision: Any,
) -> None:
    """Compile SPECS into Python modules. Nothing is written unless all of them are right.

    With --target, the kernels are compiled as well, ahead of time, for GPUs that need not be there.
    """
    from muondsl.emit.write import check_current, write
    from muondsl.pipeline import Options

    options = Options(numerics, precision, standalone)
    _check_targets(target_names)
    done = []
    errors: list[Diagnostic] = []
    for spec in specs:
        try:
            stages = _pipeline(spec, options)
            checked = stages.checked()
            done.append((stages.file(), checked.span))
            _print_warnings(checked.warnings)
        except SpecError as error:
            errors += error.diagnostics
    if errors:
        raise SpecError(errors)
    for file, span in done:
        try:
            path = (check_current if check else write)(file, output, span)
        except SpecError as error:
            errors += error.diagnostics
        else:
            click.echo(f"{path.as_posix()} {'is current' if check else 'written'}")
    if errors:
        raise SpecError(errors)
    if target_names:
        from muondsl.gpu_commands import compile_for

        for line in compile_for(specs, target_names, numerics, precision):
            click.echo(line)


def _check_targets(names: tuple[str, ...]) -> None:
    from muondsl.aot.targets import find_target

    for name in names:
        find_target(name)


@main.command()
@click.argument("specs", nargs=-1, required=True, type=SPEC)
def check(specs: tuple[Path, ...]) -> None:
    """Report every error in SPECS, which may also be files of rules."""
    from muondsl.check import check_file
    from muondsl.parse import read

    errors: list[Diagnostic] = []
    for spec in specs:
        try:
            if checked := check_file(read(spec), spec.parent):
                _print_warnings(checked.warnings)
        except SpecError as error:
            errors += error.diagnostics
    if errors:
        raise SpecError(errors)
    click.echo(f"{len(specs)} file{'s' if len(specs) > 1 else ''} without errors")


@main.command()
@click.argument("specs", nargs=-1, required=True, type=SPEC)
def verify(specs: tuple[Path, ...]) -> None:
    """Compare every path of SPECS with the float64 oracle."""
    from muondsl.agreement import verify as measure

    results = [measure(spec) for spec in specs]
    click.echo("\n\n".join(str(result) for result in results))
    if not all(result.is_good for result in results):
        sys.exit(1)


@main.command()
@click.argument("code")
def explain(code: str) -> None:
    """Explain a diagnostic by its CODE, such as M0203."""
    from muondsl.diagnostics.catalogue import CATALOGUE
    from muondsl.diagnostics.diagnostic import closest, did_you_mean

    diagnostic = CATALOGUE.get(code.upper())
    if diagnostic is None:
        remarks = " ".join(did_you_mean(closest(code.upper(), CATALOGUE)))
        raise click.ClickException(f"there is no diagnostic {code}. {remarks}".strip())
    click.echo(f"{diagnostic.code} {diagnostic.__name__}\n\n{diagnostic.explanation()}")


@main.command()
@click.argument("spec", type=SPEC)
@click.option(
    "--stage",
    type=click.Choice(["tree", "program", "optimized", "plan", "launches", "file"]),
    default="program",
    show_default=True,
    help="The stage of the compiler whose result to print.",
)
@numerics_options
def show(spec: Path, stage: str, numerics: Any, precision: Any) -> None:
    """Print what a stage of the compiler makes of SPEC."""
    click.echo(_SHOW[stage](spec, numerics, precision).rstrip("\n"))


@main.command()
@click.argument("specs", nargs=-1, required=True, type=SPEC)
@click.option("--check", is_flag=True, help="Write nothing; fail if a file is not in the canonical layout.")
def fmt(specs: tuple[Path, ...], check: bool) -> None:
    """Bring SPECS into the canonical layout."""
    from muondsl.parse import format_text, read

    changed = [(spec, text) for spec in specs if (text := format_text(source := read(spec))) != source.text]
    for spec, text in changed:
        if not check:
            from muondsl.emit.write import replace_text

            replace_text(spec, text)
        click.echo(f"{spec.as_posix()} {'would change' if check else 'changed'}")
    if check and changed:
        sys.exit(1)


def _print_warnings(warnings: tuple[Diagnostic, ...]) -> None:
    from muondsl.diagnostics.render import render

    for warning in warnings:
        click.echo(render(warning), err=True)


def _pipeline(spec: Path, options: Any) -> Pipeline:
    from muondsl.parse import read
    from muondsl.pipeline import Pipeline

    return Pipeline(read(spec), spec.parent, options)


def _stages(spec: Path, numerics: Any, precision: Any) -> Pipeline:
    from muondsl.pipeline import Options

    return _pipeline(spec, Options(numerics, precision))


def _show_tree(spec: Path, numerics: Any, precision: Any) -> str:
    from muondsl.parse import parse, print_tree, read

    return print_tree(parse(read(spec)))


def _show_program(spec: Path, numerics: Any, precision: Any) -> str:
    from muondsl.ir.printer import print_step

    return print_step(_stages(spec, numerics, precision).program())


def _show_optimized(spec: Path, numerics: Any, precision: Any) -> str:
    from muondsl.ir.printer import print_step

    return print_step(_stages(spec, numerics, precision).optimized())


def _show_plan(spec: Path, numerics: Any, precision: Any) -> str:
    from muondsl.schedule.printer import print_plan

    return print_plan(_stages(spec, numerics, precision).plan())


def _show_launches(spec: Path, numerics: Any, precision: Any) -> str:
    from muondsl.schedule.printer import print_launches

    plans = _stages(spec, numerics, precision).launches()
    return "\n".join(print_launches(plan) for plan in plans) or "none: it computes in fp64"


def _show_file(spec: Path, numerics: Any, precision: Any) -> str:
    return _stages(spec, numerics, precision).file().text


_SHOW = {
    "tree": _show_tree,
    "program": _show_program,
    "optimized": _show_optimized,
    "plan": _show_plan,
    "launches": _show_launches,
    "file": _show_file,
}


for command in (list_family, diff, new, convert, inspect, cost, profile, tune):
    main.add_command(command)
