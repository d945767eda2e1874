"""An estimate as text of 120 columns: a line for each launch, sums, and the plain way beside them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from textwrap import wrap

from muondsl.cost.devices import LAUNCH_SECONDS, Device
from muondsl.cost.estimate import Estimate, RouteEstimate
from muondsl.cost.summary import by_operator, ratios
from muondsl.cost.words import lines_of_parameters, plural
from muondsl.cost.work import Total, Work, total

WIDTH = 120
FIRST = 53
MANY = 1_000_000_000
"""From so many elements on, lines are in units a thousand times as large."""

HEADINGS = ("GFLOP", "MB read", "MB written", "µs", "bound by")
HEADINGS_OF_MANY = ("TFLOP", "GB read", "GB written", "ms", "bound by")
SIZES = (8, 11, 11, 11, 10, 8)

PLAIN_NAMES = {"matrix": "torch.optim.Muon", "otherwise": "torch.optim.AdamW(foreach=False)"}


def to_text(estimate: Estimate, shapes: str) -> str:
    """The whole report. `shapes` is what the user calls them."""
    lines = [*_heading(estimate, shapes)]
    for route in estimate.routes:
        lines += ["", *_route(route, estimate.device)]
    if len(estimate.routes) > 1:
        lines += ["", *_sums("All routes", estimate.routes, estimate.device)]
    return "\n".join([*lines, "", *_notes()])


def _heading(estimate: Estimate, shapes: str) -> Iterator[str]:
    device = estimate.device
    yield f"{estimate.spec}: one step, modelled, on {device.product} ({device.architecture})"
    yield from lines_of_parameters(
        estimate.spec,
        shapes,
        sum(route.parameters for route in estimate.routes),
        sum(route.elements for route in estimate.routes),
        estimate.parameters,
        estimate.options,
        estimate.left_out,
    )
    yield (
        f"peaks: {device.peaks['bf16'] / 1e12:g} TFLOP/s in bf16 and fp16, {device.peaks['fp32'] / 1e12:g} in fp32, "
        f"{device.bandwidth / 1e12:g} TB/s; assumed {LAUNCH_SECONDS * 1e6:g} µs a launch at least"
    )


def _route(route: RouteEstimate, device: Device) -> Iterator[str]:
    yield f"Route {route.route}: {plural(route.parameters, 'parameter')}, {route.elements:,} elements"
    if route.forms:
        yield f"  iterated: {', '.join(f'{n} in {form} form' for form, n in route.forms.items())}"
    headings, scale = (HEADINGS, 1.0) if route.elements < MANY else (HEADINGS_OF_MANY, 1e-3)
    yield ""
    yield _row("launch", ("matrices" if route.route == "matrix" else "tensors", *headings))
    for work in route.works:
        yield _row(_clipped(_label(work)), _cells([work], device, str(work.matrices), scale))
    yield ""
    yield _row(f"plain, by operator ({PLAIN_NAMES[route.route]})", ("launches", *headings))
    for works in by_operator(route.plain):
        launches = sum(work.launches for work in works)
        name = f"{works[0].kernel} (not seen by the dispatcher)" if works[0].title else works[0].kernel
        yield _row(name, _cells(works, device, str(launches), scale))
    yield ""
    yield from _sums(f"Sum of {route.route}", [route], device)
    yield from _figures(route, device)


def _label(work: Work) -> str:
    return f"{work.kernel}  {work.title}" if work.title else work.kernel


def _cells(works: Sequence[Work], device: Device, count: str, scale: float) -> tuple[str, ...]:
    summed = total(works, device)
    bounds: Counter[str] = Counter()
    for work in works:
        bounds[work.bound(device)] += round(work.seconds(device) * 1e12)
    return (
        count,
        f"{scale * summed.flops / 1e9:,.2f}",
        f"{scale * summed.loaded / 1e6:,.2f}",
        f"{scale * summed.stored / 1e6:,.2f}",
        f"{scale * summed.seconds * 1e6:,.1f}",
        bounds.most_common(1)[0][0],
    )


def _sums(title: str, routes: Sequence[RouteEstimate], device: Device) -> Iterator[str]:
    elements = sum(route.elements for route in routes)
    ours = total((work for route in routes for work in route.works), device)
    plain = total((work for route in routes for work in route.plain), device)
    hidden = sum(work.launches for route in routes for work in route.plain if work.title)
    headings = ("launches", "TFLOP", "of products", "GB", "bytes/elem", "by tiles", "ms work", "ms")
    yield _sum_row(title, headings)
    yield _sum_row("  this plan", _sum_cells(ours, elements, has_tiles=True))
    yield _sum_row("  plain", _sum_cells(plain, elements, has_tiles=False))
    yield _sum_row(
        "  plan / plain",
        (
            f"{ours.launches / plain.launches:.3f}",
            f"{ours.flops / plain.flops:.3f}",
            f"{ours.product_flops / plain.product_flops:.3f}" if plain.product_flops else "-",
            f"{ours.bytes / plain.bytes:.3f}",
            "",
            "",
            f"{ours.work_seconds / plain.work_seconds:.3f}",
            f"{ours.seconds / plain.seconds:.3f}",
        ),
    )
    if hidden:
        seen = plain.launches - hidden
        yield f"  of the plain launches {seen:,} are on the dispatcher, {hidden:,} are copies of addmm"


def _sum_cells(summed: Total, elements: int, *, has_tiles: bool) -> tuple[str, ...]:
    return (
        f"{summed.launches:,}",
        f"{summed.flops / 1e12:,.3f}",
        f"{summed.product_flops / 1e12:,.3f}",
        f"{summed.bytes / 1e9:,.3f}",
        f"{summed.bytes / elements:,.2f}",
        f"{(summed.loaded_by_tiles + summed.stored) / elements:,.1f}" if has_tiles else "",
        f"{summed.work_seconds * 1e3:,.3f}",
        f"{summed.seconds * 1e3:,.3f}",
    )


def _figures(route: RouteEstimate, device: Device) -> Iterator[str]:
    found = ratios(route, device)
    if found.product_flops is not None:
        dense = f"{route.dense_flops / 1e9:,.1f} GFLOP"
        yield f"  product FLOPs as executed tiles: {found.product_flops:.3f} of dense direct ({dense})"
    repeated = f"; {route.repeated} more are read to be reduced as a whole" if route.repeated else ""
    yield (
        f"  elementwise kernels: {found.elementwise_bytes_per_element:.2f} bytes an element, "
        f"{found.elementwise:.3f} of the floor of {route.floor}{repeated}"
    )
    yield (
        f"  whole step: {found.bytes_per_element:.2f} bytes an element with each operand of a product counted once, "
        f"{found.bytes_per_element_by_tiles:.1f} as often as tiles ask"
    )


def _notes() -> list[str]:
    text = (
        "Modelled, not measured: the time of a launch is the longest of FLOPs at the peak of the operands' format, "
        "bytes at the bandwidth of the memory, and the assumed time of a launch; `ms work` leaves the last one out. "
        "FLOPs of products are those of all tiles that run. Bytes of a product count each operand once, as if the "
        "caches kept it; `by tiles` counts what programs ask the caches for. Tables of addresses are left out."
    )
    return wrap(text, WIDTH)


def _row(first: str, cells: Sequence[str]) -> str:
    return (
        f"  {first:<{FIRST}}" + "".join(f" {cell:>{size}}" for cell, size in zip(cells, SIZES, strict=True))
    ).rstrip()


def _sum_row(first: str, cells: Sequence[str]) -> str:
    return (f"{first:<22}" + "".join(f" {cell:>11}" for cell in cells)).rstrip()


def _clipped(text: str) -> str:
    return text if len(text) <= FIRST else f"{text[: FIRST - 1]}…"
