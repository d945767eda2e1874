"""What a step moves, counted access by access: floors of the elementwise part, products, and stores made once."""

from __future__ import annotations

from collections import defaultdict
from typing import Any
from unittest.mock import patch

import pytest
import torch

from muondsl.runtime.launch import Launch
from tests.triton.count_accesses import STEPS, LaunchTraffic, counted, place_of
from tests.triton.interpreted import interpreted
from tests.triton.stepping import forms_of, grouped, loaded, numbers, save_findings

# A block of GPT-2 small with sides a sixth of the true ones: c_attn, c_proj, c_fc, c_proj of the MLP.
BLOCK = [(384, 128), (128, 128), (512, 128), (128, 512)]
OTHERS = [(128,), (512,), (3, 64, 64)]
ITERATION = {"product_kernel", "small_kernel"}

FLOOR = 24
"""Gradient 4, momentum 4 + 4, the orthogonalizer's input written 2 and its output read 2, parameter 4 + 4."""
FLOORS = {"moonlight": FLOOR, "keller_jordan": FLOOR, "nanochat": FLOOR + 2}
"""Nanochat's means over rows or columns have to be complete before the first element can be scaled by them, so that
what the orthogonalizer yields is read twice.
"""
NARROW_FLOORS = {"master_weights": FLOOR, "stochastic_rounding": 14}
"""Of parameters in bf16. With masters gradient 2, momentum 4 + 4, the orthogonalizer's input and output 2 + 2, master
4 + 4, parameter 2. Rounded at random gradient 2, momentum 2 + 2, input and output 2 + 2, parameter 2 + 2.
"""
ADAMW_FLOOR = 28
"""Gradient 4, two moments 8 each, parameter 8."""
LIMIT = 1.05


def step_counted(
    spec: str, shapes: list[tuple[int, ...]], dtype: torch.dtype = torch.float32, **options: Any
) -> list[LaunchTraffic]:
    """The second step, in which every state exists."""
    optimizer = loaded(spec)
    parameters = [torch.nn.Parameter(each) for each in numbers(shapes, dtype, scale=0.05)]
    for parameter, gradient in zip(parameters, numbers(shapes, dtype, seed=1), strict=True):
        parameter.grad = gradient
    with forms_of(optimizer, small=32):
        made = grouped(optimizer, parameters, backend="triton", **options)
        with patch.object(Launch, "run", lambda self: None):
            made.step()
        with counted(regions_of(made, parameters)) as found:
            made.step()
    return found


def regions_of(optimizer: Any, parameters: list[torch.nn.Parameter]) -> dict[str, list[tuple[int, int]]]:
    """Where everything lies that kernels may touch."""
    regions: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for parameter in parameters:
        assert parameter.grad is not None
        regions["parameter"].append(place_of(parameter))
        regions["gradient"].append(place_of(parameter.grad))
        for name, state in optimizer.state[parameter].items():
            regions[name].append(place_of(state))
    for arena in optimizer.backend._arenas.values():
        regions["workspace"].append((arena.begin, arena.begin + arena.size))
    for plan, _ in optimizer.backend._plans.values():
        regions[STEPS] += [place_of(numbers._steps.tensor) for _, numbers in plan.batches if numbers._steps is not None]
    return regions


def elements(shapes: list[tuple[int, ...]]) -> int:
    return sum(torch.Size(shape).numel() for shape in shapes)


def elementwise(launches: list[LaunchTraffic]) -> float:
    """Bytes an element outside of the iteration."""
    return sum(each.bytes() for each in launches if each.kernel not in ITERATION) / elements(BLOCK)


@pytest.mark.parametrize("spec", FLOORS)
def test_a_step_moves_what_it_must(spec: str) -> None:
    """The elementwise part at most 1.05 of its floor, the whole at most 75 bytes an element; stores are made once."""
    launches: list[LaunchTraffic] = interpreted(__name__)[spec]
    found = elementwise(launches)
    products = [each for each in launches if each.kernel in ITERATION]
    once = found + sum(each.bytes(once=True) for each in products) / elements(BLOCK)
    by_tiles = sum(each.bytes() for each in launches) / elements(BLOCK)
    print(f"\n{spec}: elementwise {found:.2f} bytes an element, {found / FLOORS[spec]:.4f} of the floor; ", end="")
    print(f"whole step {once:.1f} with each operand of a product once, {by_tiles:.1f} as tiles load them")
    assert FLOORS[spec] <= found <= LIMIT * FLOORS[spec]
    assert once <= 75
    for launch in launches:
        for name, traffic in launch.regions.items():
            assert traffic.most_stores <= 1, f"{launch.kernel} ({launch.title}) stores an element of {name} again"
    for name in ("parameter", "momentum_buffer"):
        assert sum(each.regions[name].stored for each in launches if name in each.regions) == 4 * elements(BLOCK), name
    assert sum(each.regions["gradient"].loaded for each in launches if "gradient" in each.regions) == 4 * elements(
        BLOCK
    )


@pytest.mark.parametrize("spec", FLOORS)
def test_products_store_every_element_of_their_results(spec: str) -> None:
    """A symmetric product computes one half and stores both."""
    launches: list[LaunchTraffic] = interpreted(__name__)[spec]
    titles = {each.title: each.regions["workspace"].stored for each in launches if each.kernel == "product_kernel"}
    squares = [2 * min(shape) ** 2 for shape in BLOCK]
    first, last = next(iter(titles)), list(titles)[-1]
    assert titles[first] == sum(squares), first
    assert titles[last] == 2 * elements(BLOCK), last


@pytest.mark.parametrize("option", NARROW_FLOORS)
def test_masters_and_random_rounding_take_no_pass_of_their_own(option: str) -> None:
    launches: list[LaunchTraffic] = interpreted(__name__)[option]
    found = elementwise(launches)
    print(f"\n{option}: elementwise {found:.2f} bytes an element, {found / NARROW_FLOORS[option]:.4f} of the floor")
    assert NARROW_FLOORS[option] <= found <= LIMIT * NARROW_FLOORS[option]
    assert len(launches) == len(interpreted(__name__)["moonlight"])


def test_adamw_moves_what_it_must() -> None:
    """28 bytes an element: gradient, two moments and parameter, each once in and those that change once out."""
    launches: list[LaunchTraffic] = interpreted(__name__)["adamw"]
    moved = sum(each.bytes() for each in launches) / elements(OTHERS)
    print(f"\nadamw: {moved:.2f} bytes an element, {moved / ADAMW_FLOOR:.4f} of the floor, {len(launches)} launches")
    assert ADAMW_FLOOR <= moved <= LIMIT * ADAMW_FLOOR
    assert all(traffic.most_stores <= 1 for launch in launches for traffic in launch.regions.values())


if __name__ == "__main__":
    save_findings(
        {
            "moonlight": lambda: step_counted("moonlight", BLOCK),
            "keller_jordan": lambda: step_counted("keller_jordan", BLOCK),
            "nanochat": lambda: step_counted("nanochat", BLOCK),
            "adamw": lambda: step_counted("moonlight", OTHERS),
            "master_weights": lambda: step_counted("moonlight", BLOCK, torch.bfloat16, master_weights=True),
            "stochastic_rounding": lambda: step_counted("moonlight", BLOCK, torch.bfloat16, stochastic_rounding=1),
        }
    )
