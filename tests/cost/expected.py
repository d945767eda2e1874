"""Parameters that tests of costs share."""

from __future__ import annotations

from collections.abc import Sequence

from muondsl.cost.devices import DEVICES, Format
from muondsl.cost.estimate import Estimate, RouteEstimate, estimate
from muondsl.cost.shapes import Shape
from muondsl.cost.work import Work
from muondsl.pipeline import Options
from tests.specs import path_of


def matrices(*sizes: tuple[int, ...]) -> list[Shape]:
    return [Shape(f"layers.{number}.weight", each) for number, each in enumerate(sizes)]


def estimated(
    spec: str,
    shapes: Sequence[Shape],
    device: str = "h100",
    *,
    parameters: Format = "fp32",
    options: Options | None = None,
) -> Estimate:
    return estimate(path_of(spec), shapes, DEVICES[device], parameters=parameters, options=options)


def only_route(found: Estimate) -> RouteEstimate:
    (route,) = found.routes
    return route


def work(route: RouteEstimate, ending: str) -> Work:
    (found,) = [each for each in route.works if each.kernel.endswith(f"_{ending}_kernel")]
    return found


def split_gpt2() -> list[Shape]:
    """GPT-2 small with queries, keys and values apart: 72 matrices."""
    layer = [(768, 768)] * 4 + [(3072, 768), (768, 3072)]
    return matrices(*layer * 12)
