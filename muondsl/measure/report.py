"""A profile as text of 120 columns, and as JSON has it: a line for each statement of the spec, and sums."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from textwrap import wrap
from typing import Any

from muondsl.cost.words import lines_of_parameters, plural
from muondsl.measure.profile import FEW_ELEMENTS, Kind, MeasuredKind, Profile
from muondsl.measure.record_calls import AROUND, BETWEEN
from muondsl.measure.rows import Row, Sums, kinds_of, rows_of, sums_of

WIDTH = 120
FIRST = 54
HEADINGS = ("calls", "ms", "share", "GFLOP/s", "GB/s", "of peak", "bound by")
SIZES = (8, 11, 7, 8, 7, 8, 9)

PARTS = {
    "outer": "outer: x xᵀ",
    "square": "square: polynomials of x xᵀ",
    "apply": "apply: a polynomial times x",
    BETWEEN: "between products: conversions, mirrors, diagonals",
}


def to_text(profile: Profile, shapes: str) -> str:
    """The whole report. `shapes` is what the user calls them."""
    whole = sums_of(list(profile.kinds))
    lines = [*_heading(profile, shapes)]
    for route, kinds in kinds_of(profile).items():
        lines += ["", *_route(route, kinds, profile, whole)]
    return "\n".join([*lines, "", *_sums(whole), "", *_notes(profile)])


def _heading(profile: Profile, shapes: str) -> Iterator[str]:
    peaks = profile.peaks
    yield f"{profile.spec}: one step, measured, on one thread of this CPU"
    yield from lines_of_parameters(
        profile.spec,
        shapes,
        sum(len(each.kind.names) for each in profile.kinds),
        sum(each.kind.elements for each in profile.kinds),
        profile.parameters,
        profile.options,
        profile.left_out,
    )
    products = [f"{rate / 1e9:,.1f} GFLOP/s in {_format(dtype)}" for dtype, rate in peaks.products.items()]
    rest = [f"{peaks.bandwidth / 1e9:,.1f} GB/s", f"{peaks.call * 1e6:.1f} µs a call"]
    yield from _list("peaks, measured", [*products, *rest])


def _format(dtype: object) -> str:
    return str(dtype).removeprefix("torch.").replace("float", "fp").replace("bfp", "bf")


def _route(route: str, kinds: list[MeasuredKind], profile: Profile, whole: Sums) -> Iterator[str]:
    elements = sum(each.kind.elements for each in kinds)
    yield f"Route {route}: {plural(sum(len(each.kind.names) for each in kinds), 'parameter')}, {elements:,} elements"
    yield from _list("stepped", [_taken(each.kind) for each in kinds])
    yield ""
    yield _line("statement", HEADINGS)
    for stage, in_stage in groupby(rows_of(kinds, profile.peaks), key=lambda row: row.place.stage):
        rows = list(in_stage)
        if len(rows) > 1 or rows[0].place.text:
            yield _clipped(stage, WIDTH)
        for text, same in groupby(rows, key=lambda row: row.place.text):
            yield from _statement(text or stage, list(same), whole)


def _statement(text: str, rows: Sequence[Row], whole: Sums) -> Iterator[str]:
    parts = [row for row in rows if row.place.part]
    if parts:
        yield f"  {_clipped(text, WIDTH - 2)}"
    for row in rows:
        name = f"  {PARTS.get(row.place.part, row.place.part)}" if row.place.part else text
        yield _line(name if text == row.place.stage else f"  {name}", _cells(row, whole))


def _cells(row: Row, whole: Sums) -> tuple[str, ...]:
    return (
        f"{row.calls:,}",
        f"{row.seconds * 1e3:,.3f}",
        f"{row.seconds / whole.seconds:.1%}",
        f"{row.flops / row.seconds / 1e9:,.1f}" if row.flops else "-",
        f"{row.bytes / row.seconds / 1e9:,.1f}",
        "-" if row.of_peak is None else f"{row.of_peak:.0%}",
        row.bound or "-",
    )


def _taken(kind: Kind) -> str:
    sizes = " × ".join(map(str, kind.sizes)) or "one element"
    return f"{kind.taken} of {len(kind.names)} ({sizes})"


def _sums(sums: Sums) -> Iterator[str]:
    def line(name: str, calls: str, seconds: float, *, is_share: bool = True) -> str:
        return _line(name, (calls, f"{seconds * 1e3:,.3f}", f"{seconds / sums.seconds:.1%}" if is_share else ""))

    yield line("Sum of operations", f"{sums.calls:,}", sums.operations)
    yield line("Outside of operations: Python, dispatch, memory", "", sums.outside)
    yield line("One step, under the profile", "", sums.seconds)
    yield line("One step, without it", "", sums.plain, is_share=False)


def _notes(profile: Profile) -> list[str]:
    text = (
        f"Measured: the median of {plural(profile.steps, 'step')}, behind one that makes the states. Each shape has "
        f"an optimizer of its own. Of shapes with more than {FEW_ELEMENTS:,} elements together one of each shape is "
        "stepped, times its count; of the others all, in the stacks that a step makes of them. FLOPs are those of "
        "products. Bytes are what an operation reads and writes, each tensor once, also where a cache holds it, so "
        "that more than 100% of the memory's peak is possible. `of peak`: the time that operations would take at the "
        "peak that bounds each of them, of products in their format, of memory, or of calls, by the time that they "
        "took; no peak is known of functions of whole matrices such as svd. Outside of operations views are made, and "
        "temporaries are freed; all calls wait some microseconds there for the profile, whose own bookkeeping is left "
        "out. What else runs on the machine makes all of this wrong, the peaks too."
    )
    return wrap(text, WIDTH)


def _line(first: str, cells: Sequence[str]) -> str:
    return (
        f"{_clipped(first, FIRST):<{FIRST}}"
        + "".join(f" {cell:>{size}}" for cell, size in zip(cells, SIZES, strict=False))
    ).rstrip()


def _list(name: str, items: Sequence[str]) -> list[str]:
    """Lines that end between items."""
    joined = ", ".join(item.replace(" ", "\xa0") for item in items)
    return [line.replace("\xa0", " ") for line in wrap(f"{name}: {joined}", WIDTH, subsequent_indent="  ")]


def _clipped(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def to_data(profile: Profile, shapes: str) -> dict[str, Any]:
    """The profile as JSON has it. `shapes` is what the user calls them."""
    peaks, whole = profile.peaks, sums_of(list(profile.kinds))
    return {
        "kind": "measured",
        "spec": profile.spec,
        "numerics": profile.options.numerics,
        "precision": profile.options.precision,
        "shapes": shapes,
        "parameter_format": profile.parameters,
        "parameters": sum(len(each.kind.names) for each in profile.kinds),
        "elements": sum(each.kind.elements for each in profile.kinds),
        "left_out": [shape.name for shape in profile.left_out],
        "steps": profile.steps,
        "peaks": {
            "threads": peaks.threads,
            "flops_per_second": {_format(dtype): rate for dtype, rate in peaks.products.items()},
            "bytes_per_second": peaks.bandwidth,
            "seconds_per_call": peaks.call,
        },
        "routes": [
            {
                "route": route,
                "stepped": [_kind(each.kind) for each in kinds],
                "statements": [_row(row, whole) for row in rows_of(kinds, peaks)],
                "total": _total(sums_of(kinds)),
            }
            for route, kinds in kinds_of(profile).items()
        ],
        "total": _total(whole),
    }


def _kind(kind: Kind) -> dict[str, Any]:
    return {"sizes": list(kind.sizes), "parameters": len(kind.names), "stepped": kind.taken}


def _row(row: Row, whole: Sums) -> dict[str, Any]:
    return {
        "stage": row.place.stage,
        "statement": row.place.text,
        "part": row.place.part or None,
        "is_of_the_spec": row.place != AROUND,
        "operators": dict(row.operators),
        "calls": row.calls,
        "seconds": row.seconds,
        "share": row.seconds / whole.seconds,
        "flops": row.flops,
        "bytes": row.bytes,
        "of_peak": row.of_peak,
        "bound": row.bound,
    }


def _total(sums: Sums) -> dict[str, Any]:
    return {
        "calls": sums.calls,
        "operation_seconds": sums.operations,
        "outside_seconds": sums.outside,
        "seconds": sums.seconds,
        "plain_seconds": sums.plain,
        "profile_seconds": sums.own_seconds,
    }
