"""The tables of docs/family.md. `python -m tests.family.document` writes them into the document, between the lines

    <!-- begin: NAME -->
    <!-- end: NAME -->

What is taken from the specs and what is told apart is the same on every machine. Errors are not: they are printed as
bounds, which hold and are not far above what was measured.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

from muondsl.family import Kept, Member, Stage, read_family
from muondsl.family.member import bytes_an_element
from muondsl.ir.types import Format
from tests.family.distances import MATRICES, distances
from tests.family.entry import Entry, Looser, Step
from tests.family.table import ENTRIES, IDENTICAL
from tests.family.test_family import BOUNDS, OTHERS, error
from tests.parity.trajectories import SHAPES
from tests.specs import SPECS

DOCUMENT = SPECS.parent / "docs/family.md"
SLACK = 3
"""Printed bounds are at least this many times what was measured, which differs between machines."""

LEAST: dict[Format, float] = {"fp32": 1e-6, "fp64": 1e-14}
"""No lower bounds are printed: there the last bits decide."""

PRECISIONS: tuple[Format, ...] = tuple(BOUNDS)
NOTHING = "–"


@cache
def members() -> tuple[Member, ...]:
    found, errors = read_family(sorted(SPECS.glob("*.muon")))
    assert not errors, errors
    return tuple(found)


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = (titles, ["---"] * len(titles), *rows)
    return "".join(f"| {' | '.join(cell or NOTHING for cell in line)} |\n" for line in lines)


def code(text: str) -> str:
    return f"`{text}`" if text else ""


def link(member: Member) -> str:
    return f"[{member.file}](../specs/{member.file}.muon)"


# What the specs say


def sources() -> str:
    titles = ("spec", "what it is", "source", "hypers", "matrices")
    return table(
        titles,
        (
            (link(each), _sentence(each), _citations(each), code(", ".join(each.hypers)), _matrices(each))
            for each in members()
        ),
    )


def _matrices(member: Member) -> str:
    """Which parameters are matrices of the spec, and what is one in a tensor that is stored otherwise."""
    if not member.has_matrices:
        return ""
    whole = "as groups say" if member.otherwise else "all"
    routed = code(dict(member.routes)["matrix"]) if member.routes else whole
    return "<br>".join([routed, *(code(view) for view in member.views)])


def _sentence(member: Member) -> str:
    """The first sentence of the docstring."""
    return re.split(r"(?<=\.) (?=[A-Z])", member.docstring, maxsplit=1)[0]


def _citations(member: Member) -> str:
    return ", ".join(f"<{each}>" if each.startswith("https://") else each for each in member.citations)


def directions() -> str:
    titles = ("spec", "momentum", "divides by", "orthogonalizer")
    return table(
        titles,
        (
            (
                link(each),
                _stages(each, "gradient", "momentum"),
                "<br>".join(map(code, each.divided_by)),
                _stages(each, "orthogonalize"),
            )
            for each in members()
        ),
    )


def steps() -> str:
    titles = ("spec", "adapt", "scale", "decay", "otherwise")
    return table(
        titles,
        (
            (
                link(each),
                _stages(each, "adapt"),
                _stages(each, "scale"),
                _stages(each, "decay", "project"),
                _stage(each.otherwise) if each.otherwise else "",
            )
            for each in members()
        ),
    )


def _stages(member: Member, *names: str) -> str:
    return "<br>".join(_stage(stage) for stage in member.stage(*names))


def _stage(stage: Stage) -> str:
    """With the names of those stages that share a column with others."""
    name = f"{stage.name}: " if stage.name in ("gradient", "project") else ""
    return name + code(stage.line) + (f" where {code(stage.where)}" if stage.where else "")


def memory() -> str:
    titles = ("spec", "states of a matrix", "bytes", "of others", "bytes", "kernels")
    return table(
        titles,
        (
            (
                link(each),
                _kept(each.states),
                bytes_an_element(each.states) if each.has_matrices else "",
                _kept(each.other_states),
                bytes_an_element(each.other_states) if each.otherwise else "",
                f"none: {each.obstacle}" if each.obstacle else "Triton",
            )
            for each in members()
        ),
    )


def _kept(states: tuple[Kept, ...]) -> str:
    return "<br>".join(code(str(state)) for state in states)


# What was measured


def agreement() -> str:
    titles = ("spec", "reference of matrices", "fp32", "fp64", "reference of others", "fp32", "fp64", "gradients")
    return table(titles, (_agreement(ENTRIES[each.file]) for each in members()))


def _agreement(entry: Entry) -> tuple[str, ...]:
    cells = [f"[{entry.spec}](../specs/{entry.spec}.muon)"]
    for route in ("matrix", "otherwise"):
        reference = entry.reference(route)
        cells.append(_reference(reference) if reference else "")
        cells += [bound_above(worst(entry.spec, route, each), each) if reference else "" for each in PRECISIONS]
    return (*cells, ", ".join(entry.kinds))


@cache
def worst(spec: str, route: str, precision: Format) -> float:
    """The largest error of the movement over ten steps, of all gradients and shapes on which the two are compared but
    those for which there is an exception.
    """
    entry = ENTRIES[spec]
    shapes = SHAPES if route == "matrix" else OTHERS
    named = [each for each in exceptions_of(entry, precision) if each.kinds or each.shapes]
    cases = [(kind, shape) for kind in entry.kinds for shape in shapes]
    kept = [case for case in cases if not any(each.covers(*case) for each in named)]
    return max(error(spec, spec, route, shape, kind, precision) for kind, shape in kept)


def exceptions_of(entry: Entry, precision: Format) -> tuple[Looser, ...]:
    return entry.single if precision == "fp32" else entry.double


def bound_above(measured: float, precision: Format) -> str:
    """1, 2 or 5 times a power of ten: the smallest that is `SLACK` times what was measured, and not below `LEAST`."""
    wanted = max(SLACK * measured, LEAST[precision])
    exponent = math.floor(math.log10(wanted))
    found = (f"{digit}e{power}" for power in (exponent, exponent + 1) for digit in (1, 2, 5))
    return next(each for each in found if float(each) >= wanted)


def _reference(step_of: Step) -> str:
    given: dict[str, Any] = {}
    while isinstance(step_of, partial):
        given = {**step_of.keywords, **given}
        step_of = step_of.func
    module = step_of.__module__.rpartition(".")[2]
    arguments = ", ".join(f"{name}={value!r}" for name, value in given.items())
    return f"[`{module}.{step_of.__name__}{f'({arguments})' if given else ''}`](../tests/reference/{module}.py)"


def exceptions() -> str:
    """Where a spec and its reference may differ by more than rounding makes others, each reason once."""
    found: dict[str, list[str]] = {}
    for entry in ENTRIES.values():
        for precision in PRECISIONS:
            for each in exceptions_of(entry, precision):
                where = ", ".join([*each.kinds, *("×".join(map(str, shape)) or "scalar" for shape in each.shapes)])
                line = f"{precision}{f', {where}' if where else ''}, {each.bound:g}: {each.reason}"
                found.setdefault(line, []).append(entry.spec)
    return "".join(sorted(f"- {', '.join(sorted(specs))}; {line}.\n" for line, specs in found.items()))


# Who passes for whom


def confusion() -> str:
    """A line for each spec, a column for each reference."""
    names = sorted(MATRICES)
    width = max(map(len, names))
    places = range(1, len(names) + 1)
    tens = "".join(str(place // 10) if place % 10 == 0 else " " for place in places)
    ones = "".join(str(place % 10) for place in places)
    lines = [f"{'':{width + 5}}{head}".rstrip() for head in (tens, ones)]
    for place, spec in zip(places, names, strict=True):
        lines.append(f"{place:>2} {spec:<{width}}  {''.join(_letter(spec, reference) for reference in names)}")
    return "\n".join(["```", *lines, "```", ""])


def _letter(spec: str, reference: str) -> str:
    """`=` where the spec passes; else how many digits the two movements share, `·` for none."""
    distance = distances()[spec, reference]
    if distance <= max([BOUNDS["fp64"], *(each.bound for each in ENTRIES[spec].double)]):
        return "="
    digits = max(0, math.floor(-math.log10(distance)))
    return str(digits) if digits else "·"


def identical() -> str:
    return "".join(
        f"- {spec} follows the reference of {other}: {reason}.\n" for (spec, other), reason in sorted(IDENTICAL.items())
    )


FROM_SPECS: dict[str, Callable[[], str]] = {
    "sources": sources,
    "directions": directions,
    "steps": steps,
    "memory": memory,
    "exceptions": exceptions,
    "identical": identical,
    "confusion": confusion,
}
"""Regions that are the same on every machine."""

MEASURED: dict[str, Callable[[], str]] = {"agreement": agreement}


def region(text: str, name: str) -> str:
    """What stands in the document between the two lines of a name."""
    begin, end = f"<!-- begin: {name} -->\n", f"<!-- end: {name} -->\n"
    assert text.count(begin) == text.count(end) == 1, name
    return text.partition(begin)[2].partition(end)[0].strip("\n") + "\n"


def written(text: str, name: str, content: str) -> str:
    """The document with another region of this name."""
    before, begin, rest = text.partition(f"<!-- begin: {name} -->\n")
    _, end, after = rest.partition(f"<!-- end: {name} -->\n")
    return f"{before}{begin}\n{content}\n{end}{after}"


def main() -> None:
    text = DOCUMENT.read_text("utf-8")
    for name, make in {**FROM_SPECS, **MEASURED}.items():
        text = written(text, name, make())
    DOCUMENT.write_text(text, "utf-8")
    print(f"{Path(*DOCUMENT.parts[-2:]).as_posix()} written")


if __name__ == "__main__":
    main()
