"""Kernels step the matrices that are seen in a parameter as they step parameters of their own: no bit differs where
they lie alike, and rounding alone where the one lies across.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import Parameter

import muondsl
from tests.parity.trajectories import relative
from tests.triton.interpreted import interpreted
from tests.triton.stepping import SPECS, loaded, save_findings

STEPS = 2
VIEWS = {
    "split(3)": (48, 40),
    "split(17, 31, 8)": (56, 33),
    "batch": (3, 24, 40),
    "flatten": (24, 4, 3, 3),
    "transpose": (40, 24),
    "batch, transpose, heads(2)": (2, 24, 48),
}
NAMES = ("moonlight", "nanochat")


def gradients(shape: tuple[int, ...]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(sum(shape))
    return [torch.randn(shape, generator=generator) for _ in range(STEPS + 1)]


def stepped(name: str, view: str, shape: tuple[int, ...], backend: str, *, is_apart: bool) -> list[Tensor]:
    """The matrices after some steps, with their states, and how many launches the last step was."""
    start, *given = gradients(shape)
    whole = Parameter(start)
    kind = loaded(name, precision="fp32")
    seen = kind([{"params": [("x", whole)], "route": "matrix"}], views={"x": view}, backend=backend)
    how = seen.view_of(whole)
    optimizer = seen
    parts = [whole]
    if is_apart:
        parts = [Parameter(each.clone()) for each in how.matrices(start)]
        optimizer = kind([{"params": parts, "route": "matrix"}], backend=backend)
    for gradient in given:
        for part, own in zip(parts, how.matrices(gradient) if is_apart else [gradient], strict=True):
            part.grad = own.clone()
        optimizer.step()
    matrices = seen.matrices_of("matrix", whole)
    found: list[Tensor] = []
    for state in seen.states["matrix"]:
        held = [optimizer.state[part][state.name] for part in parts]
        found += held if is_apart else state.parts(held[0], how, matrices)
    return [each.detach().contiguous() for each in (*(parts if is_apart else how.matrices(whole)), *found)]


def channels_last(backend: str) -> str:
    """What happens to filters whose memory holds no such matrices."""
    filters = Parameter(torch.randn(8, 4, 3, 3).contiguous(memory_format=torch.channels_last))
    kind = muondsl.load(SPECS / "keller_jordan.muon")
    optimizer = kind([("conv.weight", filters)], backend=backend)
    filters.grad = torch.ones_like(filters)
    try:
        optimizer.step()
    except RuntimeError as error:
        return str(error)
    return str(optimizer.describe())


def launches_of_experts(count: int) -> int:
    experts = Parameter(torch.randn(count, 40, 64))
    optimizer = loaded("moonlight")([("experts", experts)], backend="triton")
    return int(optimizer.describe().split(" launches a step")[0].split()[-1])


CASES: dict[str, Any] = {
    f"{name} {view} {is_apart}": lambda name=name, view=view, is_apart=is_apart: stepped(
        name, view, VIEWS[view], "triton", is_apart=is_apart
    )
    for name in NAMES
    for view in VIEWS
    for is_apart in (True, False)
}
CASES |= {f"channels last, {backend}": lambda backend=backend: channels_last(backend) for backend in ("auto", "triton")}
CASES |= {f"launches of {count}": lambda count=count: launches_of_experts(count) for count in (1, 5)}


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    return interpreted(__name__)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", NAMES)
def test_matrices_in_a_parameter_are_stepped_as_parameters_are(found: dict[str, Any], name: str, view: str) -> None:
    seen, apart = found[f"{name} {view} False"], found[f"{name} {view} True"]
    assert len(seen) == len(apart)
    for one, other in zip(seen, apart, strict=True):
        if "transpose" in view:
            assert relative(one, other) < 1e-5
        else:
            assert torch.equal(one, other)


def test_memory_without_such_matrices_is_left_to_torch_or_refused(found: dict[str, Any]) -> None:
    assert "in its memory or that of its gradient 'flatten' is no view" in found["channels last, triton"]
    assert "matrix, cpu, float32: 1 parameter, torch" in found["channels last, auto"]


def test_experts_are_stepped_together(found: dict[str, Any]) -> None:
    assert found["launches of 5"] == found["launches of 1"]


if __name__ == "__main__":
    save_findings(CASES)
