"""`muondsl list`: the specs of a folder, or the rules of the standard library."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NoReturn

import click

from muondsl.command_options import SPEC
from muondsl.diagnostics.diagnostic import closest, did_you_mean
from muondsl.diagnostics.spec_error import SpecError


@click.command("list")
@click.argument("names", nargs=-1)
@click.option("--long", "is_long", is_flag=True, help="All of each spec, as for one that is named.")
@click.option("--specs", "folder", type=SPEC, default=Path("specs"), show_default=True, help="The folder of specs.")
@click.option("--rules", "are_rules", is_flag=True, help="The rules of the standard library instead.")
def list_family(names: tuple[str, ...], is_long: bool, folder: Path, are_rules: bool) -> None:
    """List the specs of a folder, one a line, or all that is in those that are NAMED: by file, class or path."""
    if are_rules:
        if names or is_long:
            raise click.UsageError("--rules lists all rules: it goes with neither names nor --long")
        _print_rules()
        return
    from muondsl.family import read_family
    from muondsl.family.print_members import print_member, print_table

    paths = [_find(name, folder) for name in names] or _specs(folder)
    members, errors = read_family(paths)
    width = shutil.get_terminal_size((0, 0)).columns
    if members and (names or is_long):
        click.echo("\n\n".join(print_member(member, width) for member in members))
    elif members:
        click.echo(print_table(members, width))
    if errors:
        raise SpecError(errors)
    if not members:
        raise click.ClickException(f"{', '.join(path.as_posix() for path in paths)}: rules, and no optimizer")


def _specs(folder: Path) -> list[Path]:
    if found := sorted(folder.glob("*.muon")):
        return found
    there = "no specs in" if folder.is_dir() else "there is no folder"
    raise click.ClickException(f"{there} {folder.as_posix()}: --specs names another, and --rules lists the rules")


def _find(name: str, folder: Path) -> Path:
    """The file of a spec that is named by its file, with or without `.muon`, its class, or its path."""
    from muondsl.check.modules import file_of

    paths = (Path(name), folder / f"{name}.muon", folder / name, folder / file_of(name))
    for path in paths:
        if path.suffix == ".muon" and path.is_file():
            return path
    _miss(name, folder)


def _miss(name: str, folder: Path) -> NoReturn:
    near = closest(name, (path.stem for path in folder.glob("*.muon")))
    remark = "".join(f". {each}" for each in did_you_mean(near))
    raise click.ClickException(f"there is no spec {name} in {folder.as_posix()}{remark}")


def _print_rules() -> None:
    from muondsl.check.modules import standard_library
    from muondsl.parse import ast

    for file in standard_library():
        click.echo(f"{file.span.source.name}: {' '.join((file.docstring or '').split())}")
        for item in file.items:
            if isinstance(item, ast.Rule):
                parameters = ", ".join(parameter.span.text for parameter in item.parameters)
                click.echo(f"  {item.name}({parameters})\n      {' '.join((item.docstring or '').split())}")
