"""Every spec's kernels in Triton's interpreter: beside the oracle, beside torch, and with defects put in."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from muondsl.agreement import Agreement, verify
from muondsl.agreement.interpreted import Request, run_interpreted
from muondsl.agreement.run_steps import run_steps
from muondsl.agreement.trial import relative
from tests.specs import CORE, WITH_KERNELS, path_of
from tests.triton.stepping import loaded, numbers

MATRICES = [(65, 66), (17, 33), (96, 32), (48, 48), (1, 48), (48, 1), (33, 80)]
OTHERS = [(48,), (8, 3, 3, 3), (), (2, 1100)]


def transposed(given: Tensor) -> Tensor:
    return given.mT.contiguous().mT if given.ndim == 2 else given


def misaligned(given: Tensor) -> Tensor:
    """From an address that is no multiple of 16."""
    return torch.cat([given.new_zeros(1), given.flatten()])[1:].view(given.shape)


def strided(given: Tensor) -> Tensor:
    """Every other element of a larger tensor."""
    return torch.stack([given, given], dim=-1)[..., 0]


def expanded(given: Tensor) -> Tensor:
    """One row for all, as a sum's gradient is."""
    return given[:1].expand(given.shape) if given.ndim == 2 else given


LAYOUTS: list[Callable[[Tensor], Tensor]] = [transposed, misaligned, strided, expanded, torch.clone]


def shapes_of(optimizer: Any) -> list[tuple[int, ...]]:
    return MATRICES + OTHERS if "otherwise" in optimizer.states else list(MATRICES)


def request_of(optimizer: Any, dtype: torch.dtype, shapes: list[tuple[int, ...]]) -> Request:
    """One step of parameters of which each has a gradient that lies in memory in its own way."""
    starts = [("matrix" if each.ndim == 2 else "otherwise", each) for each in numbers(shapes, dtype, 0.05)]
    gradients = [[LAYOUTS[place % len(LAYOUTS)](each)] for place, each in enumerate(numbers(shapes, dtype, seed=1))]
    return Request.of(optimizer, starts, gradients, {"lr": 0.02})


def torch_step(optimizer: Any, request: Request) -> list[dict[str, Tensor]]:
    found = run_steps(optimizer, request.starts, request.gradients, request.hypers, backend="torch")
    return [after[-1] for after in found]


Way = tuple[str, Any, torch.dtype]

WAYS: tuple[Way, ...] = (
    *((name, "fast", torch.float32) for name in CORE),
    *((name, "faithful", torch.float32) for name in ("keller_jordan", "nanochat")),
    *((name, "fast", torch.bfloat16) for name in ("moonlight", "nanochat")),
)
OTHER_WAYS: tuple[Way, ...] = tuple((name, "fast", torch.float32) for name in WITH_KERNELS if name not in CORE)


@cache
def one_step(ways: tuple[Way, ...]) -> dict[Way, tuple[Request, list[dict[str, Tensor]], Any]]:
    """What kernels and torch make of a step, all ways in one process."""
    classes = {way: loaded(way[0], numerics=way[1], precision="fp32") for way in ways}
    requests = {way: request_of(classes[way], way[2], shapes_of(classes[way])) for way in ways}
    found = run_interpreted(list(requests.values()))
    return {
        way: (request, [after[-1] for after in kernels], torch_step(classes[way], request))
        for (way, request), kernels in zip(requests.items(), found, strict=True)
    }


def differences(
    request: Request, kernels: list[dict[str, Tensor]], torchs: list[dict[str, Tensor]]
) -> dict[Any, float]:
    """Of movements of parameters, and of states, relative; parameters of 16 bits hold no small movements."""
    found = {}
    for (_, start), ours, theirs in zip(request.starts, kernels, torchs, strict=True):
        base = start.double() if start.dtype == torch.float32 else torch.zeros_like(start, dtype=torch.float64)
        for name, value in ours.items():
            before = base if name == "parameter" else 0
            found[tuple(start.shape), name] = relative(value - before, theirs[name] - before)
    return found


@pytest.mark.parametrize("way", [way for way in WAYS if way[2] == torch.float32], ids=lambda way: "-".join(way[:2]))
def test_a_step_of_every_shape_agrees_with_torch(way: Way) -> None:
    """In fp32 to five digits, however gradients lie in memory; to three where the matrix has rank one, in which
    rounding beside the one direction grows by `a` at every step: 3.4445⁵ is 484.
    """
    check_step(one_step(WAYS)[way])


@pytest.mark.slow
@pytest.mark.parametrize("way", OTHER_WAYS, ids=lambda way: way[0])
def test_a_step_of_every_other_spec_agrees_with_torch(way: Way) -> None:
    check_step(one_step(OTHER_WAYS)[way])


def check_step(found: tuple[Request, list[dict[str, Tensor]], Any]) -> None:
    ranks_of_one = {tuple(each.shape) for (each,) in found[0].gradients if 1 in each.shape or 0 in each.stride()}
    for (shape, tensor), error in differences(*found).items():
        is_magnified = shape in ranks_of_one and len(shape) == 2
        assert error <= (1e-3 if is_magnified else 1e-5), f"{tensor} of {shape}: {error:.1e}"


@pytest.mark.parametrize("name", [way[0] for way in WAYS if way[2] == torch.bfloat16])
def test_parameters_of_16_bits_agree_to_what_the_interpreter_cuts_off(name: str) -> None:
    for (shape, tensor), error in differences(*one_step(WAYS)[name, "fast", torch.bfloat16]).items():
        assert error <= 2 * torch.finfo(torch.bfloat16).eps, f"{tensor} of {shape}: {error:.1e}"


@pytest.mark.slow
@pytest.mark.parametrize("name", WITH_KERNELS)
def test_kernels_agree_with_the_oracle(name: str) -> None:
    """All steps, shapes and precisions of `verify`."""
    found = verify(path_of(name))
    print(f"\n{found}")
    assert_complete(found)


def assert_complete(found: Agreement) -> None:
    assert found.is_good, str(found)
    assert not found.remarks
    kernels = [row for row in found.rows if row.path.startswith("triton")]
    assert {row.path for row in kernels} == {
        f"triton {numerics} {precision}" for numerics in ("fast", "faithful") for precision in ("fp32", "as written")
    }
    assert {row.against for row in kernels} == {"oracle", "torch"}


# Defects, put into a copy of what was generated.

DEFECTS = {
    "momentum takes the weight of the gradient": (
        "lerp(momentum_buffer, gradient, one_minus_momentum)",
        "lerp(momentum_buffer, gradient, momentum)",
    ),
    "a coefficient is off by a digit": ("3.4445", "3.4446"),
    "the norm is of one more than there is": ("within(update * update, tile, 0.0)", "update * update + 1e-3"),
    "decay is left out": ("parameter * one_minus_lr_weight_decay", "parameter"),
    "the sign of the step": ("parameter + minus_lr_scale * update", "parameter - minus_lr_scale * update"),
    "adamw's second moment": ("gradient * gradient", "gradient"),
}


@cache
def with_defects() -> dict[str, float]:
    """The worst difference from torch for each defect, and for none."""
    optimizer = loaded("moonlight", precision="fp32")
    shapes: list[tuple[int, ...]] = [(17, 33), (33, 80), (48,)]
    whole = request_of(optimizer, torch.float32, shapes)
    text = whole.path.read_text("utf-8")
    requests = {"none": whole}
    for name, (before, after) in DEFECTS.items():
        changed = text.replace(before, after)
        assert changed != text, name
        folder = whole.path.parent / re.sub(r"\W+", "_", name)
        folder.mkdir(exist_ok=True)
        path = folder / whole.path.name
        path.write_text(changed, "utf-8")
        requests[name] = Request(path, whole.name, whole.starts, whole.gradients, whole.hypers)
    expected = torch_step(optimizer, whole)
    found = run_interpreted(list(requests.values()))
    return {
        name: max(differences(whole, [after[-1] for after in kernels], expected).values())
        for name, kernels in zip(requests, found, strict=True)
    }


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defect_of_a_kernel_is_seen(defect: str) -> None:
    assert with_defects()["none"] <= 1e-5
    assert with_defects()[defect] > 1e-5


def test_requests_name_the_file_that_users_import() -> None:
    optimizer = loaded("moonlight")
    assert isinstance(Request.of(optimizer, [], [], {}).path, Path)
    assert "moonlight_nesterov_kernel" in Request.of(optimizer, [], [], {}).path.read_text("utf-8")
