"""A spec, shapes and a device in, what a step costs out: of the plan's own launches, and the plain way beside them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from muondsl.cost.devices import Device, Format
from muondsl.cost.elementwise_work import ElementwiseWork
from muondsl.cost.errors import CostError
from muondsl.cost.plain import STEPS, plain_works
from muondsl.cost.population import ITEM_BYTES, Population
from muondsl.cost.product_work import dense_iteration_flops, iteration_of, iteration_works, product_works
from muondsl.cost.shapes import Shape
from muondsl.cost.work import Work
from muondsl.interface import load, pipeline
from muondsl.ir.types import MATRIX, DType
from muondsl.pipeline import Options
from muondsl.runtime.routing import Parameter, Router
from muondsl.runtime.triton_language import HAS_TRITON
from muondsl.schedule.launches import Elementwise, Iterate, LaunchPlan

if TYPE_CHECKING:
    from muondsl.runtime import SpecOptimizer


@dataclass(frozen=True, slots=True)
class RouteEstimate:
    """One route. `forms` says how many matrices are iterated in which form, `dense_flops` what the same iterations take
    as whole products. `floor` are the bytes an element that elementwise work cannot do without: gradient, parameter and
    full-size states once each, and what an iteration reads and yields; `repeated` those of further readings, of what is
    reduced as a whole before it is used.
    """

    route: str
    parameters: int
    elements: int
    works: tuple[Work, ...]
    plain: tuple[Work, ...]
    forms: dict[str, int]
    dense_flops: int
    floor: int
    repeated: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """A step of all parameters but those `left_out`, for which a spec without routes has no rule. Routes without
    parameters are not among `routes`.
    """

    spec: str
    options: Options
    parameters: Format
    device: Device
    routes: tuple[RouteEstimate, ...]
    left_out: tuple[Shape, ...] = ()


def estimate(
    spec: str | Path,
    shapes: Sequence[Shape],
    device: Device,
    *,
    parameters: Format = "fp32",
    options: Options | None = None,
) -> Estimate:
    """What a step of parameters of these shapes and this format costs. Raises SpecError for a spec with errors,
    CostError for one that has no launches or cannot route the parameters.
    """
    if not HAS_TRITON:
        raise CostError("the launches of products are made by Triton, which is not installed: pip install triton")
    options = options or Options()
    stages = pipeline(spec, options)
    name = stages.checked().name
    plans: dict[str, LaunchPlan] = {plan.program.route: plan for plan in stages.launches()}
    if not plans:
        raise CostError(f"{name} has no Triton form to estimate: it computes in fp64, which tensor cores do not serve")
    optimizer = load(spec, numerics=options.numerics, precision=options.precision)
    divided, left_out = divide_by_rules(optimizer, shapes, plans)
    if missing := next((route for route, chosen in divided.items() if chosen and route not in plans), None):
        raise CostError(f"the route {missing} of {name} has no Triton form to estimate: it computes in fp64")
    if not any(divided.values()):
        raise CostError(f"{name} takes none of these parameters")
    routes = [_route(name, plans[route], chosen, device, parameters) for route, chosen in divided.items() if chosen]
    return Estimate(name, options, parameters, device, tuple(routes), left_out)


def divide(optimizer: type[SpecOptimizer], shapes: Sequence[Shape]) -> dict[str, list[Shape]]:
    """The parameters of each route, by the routes of the spec; of `matrix` the logical matrices. Where it has none,
    hidden matrices are taken for its matrices, as its user would give them to it. Raises CostError for a parameter that
    the optimizer would refuse.
    """
    if "matrix" not in optimizer.states:
        return {"otherwise": list(shapes)}
    routes = optimizer.routes or {"matrix": _is_hidden_matrix, "otherwise": lambda one: not _is_hidden_matrix(one)}
    router = Router(optimizer.__name__, tuple(routes), routes, optimizer.views)
    named = [(shape.name, torch.empty(shape.sizes, device="meta")) for shape in shapes]
    try:
        divided = router.divide(named)
        matrices = [
            (name, router.view(name, tensor).shapes(tensor.shape)) for name, tensor in divided.get("matrix", [])
        ]
    except ValueError as error:
        raise CostError(str(error)) from None
    found: dict[str, list[Shape]] = {route: [] for route in routes}
    found |= {route: [Shape(name, tuple(tensor.shape)) for name, tensor in each] for route, each in divided.items()}
    return found | {"matrix": [Shape(name, sizes) for name, each in matrices for sizes in each]}


def divide_by_rules(
    optimizer: type[SpecOptimizer], shapes: Sequence[Shape], rules: Collection[str]
) -> tuple[dict[str, list[Shape]], tuple[Shape, ...]]:
    """The parameters of each route, and those that a spec without routes has none of these rules for."""
    divided = divide(optimizer, shapes)
    is_left = not optimizer.routes and "otherwise" not in rules
    return divided, tuple(divided.pop("otherwise")) if is_left else ()


def _is_hidden_matrix(parameter: Parameter) -> bool:
    return parameter.has_role("matrix")


def _route(name: str, plan: LaunchPlan, shapes: Sequence[Shape], device: Device, parameters: Format) -> RouteEstimate:
    route = plan.program.route
    make = Population.of_matrices if route == "matrix" else Population.of_others
    population = make(shapes, parameters)
    iterations = [launch for launch in plan.launches if isinstance(launch, Iterate)]
    steps = len(iterations[0].quintic.coefficients) if iterations else STEPS
    return RouteEstimate(
        route=route,
        parameters=len(shapes),
        elements=population.elements,
        works=tuple(_works(plan, population, _prefix(name, route), device.architecture)),
        plain=tuple(plain_works(population, route, steps)),
        forms=_forms(iterations, population),
        dense_flops=sum(dense_iteration_flops(launch, population) for launch in iterations),
        floor=_floor(plan, population, iterations),
        repeated=_repeated(plan, population),
    )


def _works(plan: LaunchPlan, population: Population, prefix: str, architecture: str) -> Iterator[Work]:
    elementwise = ElementwiseWork(plan, population, prefix)
    if plan.scalars:
        yield elementwise.scalars()
    for launch in plan.launches:
        match launch:
            case Elementwise():
                yield from elementwise.works(launch)
            case Iterate():
                yield from iteration_works(launch, population, architecture)
            case _:
                yield from product_works(launch, plan, population, architecture)


def _prefix(name: str, route: str) -> str:
    """What names of the route's kernels begin with in the generated module."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    return words if route == "matrix" else f"{words}_otherwise"


def _forms(iterations: Sequence[Iterate], population: Population) -> dict[str, int]:
    forms: dict[str, int] = {}
    for launch in iterations:
        iteration = iteration_of(launch, population)
        for shape, n in population.counts.items():
            form = iteration.form(*shape)
            forms[form] = forms.get(form, 0) + n
    return forms


def _floor(plan: LaunchPlan, population: Population, iterations: Sequence[Iterate]) -> int:
    states = [population.item_bytes(DType(state.format)) for state in plan.program.states if state.type.dims == MATRIX]
    iterated = [ITEM_BYTES[population.held_in(launch.definition.type.dtype.fixed)] for launch in iterations]
    return 3 * ITEM_BYTES[population.format] + 2 * sum(states) + 2 * sum(iterated)


def _repeated(plan: LaunchPlan, population: Population) -> int:
    """Bytes an element of launches that read matrices only to reduce them."""
    dims = {each.value: each.type.dims for each in plan.program.definitions}
    found = 0
    for launch in plan.launches:
        if (
            isinstance(launch, Elementwise)
            and launch.partials
            and not any(dims[one.value].is_matrix for one in launch.stores)
        ):
            tensors = [one.tensor for one in launch.loads if dims[one.value].is_matrix]
            dtypes = [buffer.dtype if (buffer := plan.buffer(tensor)) else DType() for tensor in tensors]
            found += sum(population.item_bytes(dtype) for dtype in dtypes)
    return found
