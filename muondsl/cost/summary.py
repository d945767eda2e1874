"""The figures of an estimate, as data with stable keys: what the report and its JSON say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

from muondsl.cost.devices import LAUNCH_SECONDS, Device
from muondsl.cost.estimate import Estimate, RouteEstimate
from muondsl.cost.work import Total, Work, total


@dataclass(frozen=True, slots=True)
class Ratios:
    """A step's work in relation to what it is measured by; None where there is nothing of the kind.

    `product_flops`: of executed tiles, by those of the same iterations as whole products. `elementwise`: bytes of
    elementwise launches by the floor, which leaves out `repeated`. `bytes_per_element`: of all launches, each operand
    of a product once; `bytes_per_element_by_tiles`: as often as tiles ask for it.
    """

    product_flops: float | None
    elementwise_bytes_per_element: float
    elementwise: float
    bytes_per_element: float
    bytes_per_element_by_tiles: float


def ratios(route: RouteEstimate, device: Device) -> Ratios:
    summed = total(route.works, device)
    elementwise = summed.elementwise_bytes / route.elements
    return Ratios(
        product_flops=summed.product_flops / route.dense_flops if route.dense_flops else None,
        elementwise_bytes_per_element=elementwise,
        elementwise=elementwise / route.floor,
        bytes_per_element=summed.bytes / route.elements,
        bytes_per_element_by_tiles=(summed.loaded_by_tiles + summed.stored) / route.elements,
    )


def by_operator(works: Iterable[Work]) -> list[list[Work]]:
    """The plain works of each operator, in the order in which operators come first."""
    groups: dict[tuple[str, str], list[Work]] = {}
    for work in works:
        groups.setdefault((work.kernel, work.title), []).append(work)
    return list(groups.values())


def to_data(estimate: Estimate, shapes: str) -> dict[str, Any]:
    """The estimate as JSON has it. `shapes` is what the user calls them."""
    device = estimate.device
    ours = [work for route in estimate.routes for work in route.works]
    plain = [work for route in estimate.routes for work in route.plain]
    return {
        "kind": "modelled",
        "spec": estimate.spec,
        "numerics": estimate.options.numerics,
        "precision": estimate.options.precision,
        "shapes": shapes,
        "parameter_format": estimate.parameters,
        "parameters": sum(route.parameters for route in estimate.routes),
        "elements": sum(route.elements for route in estimate.routes),
        "left_out": [shape.name for shape in estimate.left_out],
        "device": {
            "name": device.name,
            "product": device.product,
            "architecture": device.architecture,
            "flops_per_second": dict(device.peaks),
            "bytes_per_second": device.bandwidth,
            "seconds_per_launch": LAUNCH_SECONDS,
            "source": device.source,
        },
        "routes": [_route(route, device) for route in estimate.routes],
        "total": _total(total(ours, device)),
        "plain_total": _total(total(plain, device)),
    }


def _route(route: RouteEstimate, device: Device) -> dict[str, Any]:
    found = ratios(route, device)
    return {
        "route": route.route,
        "parameters": route.parameters,
        "elements": route.elements,
        "forms": dict(route.forms),
        "dense_flops": route.dense_flops,
        "elementwise_floor": route.floor,
        "elementwise_repeated": route.repeated,
        "ratios": {field.name: getattr(found, field.name) for field in fields(found)},
        "launches": [_work(work, device) for work in route.works],
        "total": _total(total(route.works, device)),
        "plain_operators": [_operators(works, device) for works in by_operator(route.plain)],
        "plain_total": _total(total(route.plain, device)),
    }


def _work(work: Work, device: Device) -> dict[str, Any]:
    return {
        "kernel": work.kernel,
        "title": work.title,
        "kind": work.kind,
        "matrices": work.matrices,
        "launches": work.launches,
        "flops": work.flops,
        "bytes_loaded": work.loaded,
        "bytes_stored": work.stored,
        "bytes_loaded_by_tiles": work.loaded_by_tiles,
        "seconds": work.seconds(device),
        "bound": work.bound(device),
    }


def _operators(works: list[Work], device: Device) -> dict[str, Any]:
    summed = total(works, device)
    return {"operator": works[0].kernel, "is_hidden": works[0].title == "hidden", **_total(summed)}


def _total(summed: Total) -> dict[str, Any]:
    return {
        "launches": summed.launches,
        "flops": summed.flops,
        "product_flops": summed.product_flops,
        "bytes_loaded": summed.loaded,
        "bytes_stored": summed.stored,
        "bytes_loaded_by_tiles": summed.loaded_by_tiles,
        "work_seconds": summed.work_seconds,
        "seconds": summed.seconds,
    }
