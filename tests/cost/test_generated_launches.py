"""The estimate's launches are those of the generated class, name by name."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from muondsl.cost.devices import DEVICES
from muondsl.cost.estimate import divide, estimate
from muondsl.cost.population import Population
from muondsl.cost.product_work import iteration_of
from muondsl.cost.shapes import NAMED, Shape
from muondsl.interface import load, pipeline
from muondsl.pipeline import Options
from muondsl.runtime.iteration import iteration_flops
from muondsl.runtime.step_plan import launches_of
from muondsl.schedule.launches import Iterate
from tests.cost.expected import matrices
from tests.specs import CORE, WITH_KERNELS, path_of

MIXED = [
    *matrices((640, 1536), (1536, 640), (600, 600), (600, 600), (509, 2041), (64, 256), (17, 33), (1, 48), (48, 1)),
    *(Shape("wte.weight", (33, 7)), Shape("ln.bias", (64,)), Shape("ln.weight", (64,)), Shape("gain", ())),
]


def parts(title: str) -> set[str]:
    """What a launch computes for matrices of one form and another, which come in the order of the parameters."""
    return set(title.split("; "))


def devices_of(name: str) -> list[Any]:
    """All of them for the core, and one for the others where time matters."""
    is_costly = {device: name not in CORE and device != "h100" for device in DEVICES}
    return [pytest.param(name, device, marks=pytest.mark.slow if is_costly[device] else ()) for device in DEVICES]


@pytest.mark.parametrize(("name", "device"), [each for name in WITH_KERNELS for each in devices_of(name)])
def test_launches_are_those_of_the_class(name: str, device: str) -> None:
    optimizer = load(path_of(name))
    divided = divide(optimizer, MIXED)
    for route in estimate(path_of(name), MIXED, DEVICES[device]).routes:
        sizes = [shape.sizes for shape in divided[route.route]]
        launches = launches_of(optimizer, route.route, sizes, architecture=DEVICES[device].architecture)
        ours = [(work.kernel, parts(work.title), work.matrices) for work in route.works]
        assert ours == [(launch.name, parts(launch.title), launch.matrices) for launch in launches]


def test_gpt2_has_the_launches_of_the_class_in_bf16_too() -> None:
    spec = path_of("nanochat")
    optimizer = load(spec)
    divided = divide(optimizer, NAMED["gpt2"])
    for route in estimate(spec, NAMED["gpt2"], DEVICES["a100"], parameters="bf16").routes:
        sizes = [shape.sizes for shape in divided[route.route]]
        launches = launches_of(optimizer, route.route, sizes, dtype=torch.bfloat16, architecture="sm_80")
        assert [work.kernel for work in route.works] == [launch.name for launch in launches]


@pytest.mark.parametrize("numerics", ["fast", "faithful"])
def test_product_flops_are_those_that_the_runtime_counts(numerics: str) -> None:
    spec = path_of("moonlight")
    options = Options("fast" if numerics == "fast" else "faithful")
    shapes = [shape for shape in MIXED if len(shape.sizes) == 2 and min(shape.sizes) > 128]
    plan = pipeline(spec, options).launches()[0]
    (iterate,) = [launch for launch in plan.launches if isinstance(launch, Iterate)]
    iteration = iteration_of(iterate, Population.of_matrices(shapes, "fp32"))
    expected = sum(iteration_flops(iteration, *sorted(shape.sizes), "sm_90") for shape in shapes)
    (route,) = estimate(spec, shapes, DEVICES["h100"], options=options).routes
    assert sum(work.flops for work in route.works if work.kind == "product") == expected
