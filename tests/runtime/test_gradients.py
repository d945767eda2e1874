"""Gradients as they come: in other formats than their parameter, zero, tiny, huge, accumulated, however they lie in
memory. The oracle says what is right, and for how much rounding accounts.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import Parameter

from muondsl.interface import pipeline
from muondsl.ir.interpreter import Noise, initial_state, interpret
from muondsl.pipeline import Options
from muondsl.runtime.random_bits import rounded_at_random
from tests.parity.test_adamw import ADAMW, of_text
from tests.runtime.subjects import (
    Optimizer,
    assert_same,
    every_class_costly,
    flat,
    generated_class,
    new_groups,
    new_parameters,
    random,
    snapshot,
)
from tests.specs import ALL, path_of

BF16, FP16, FP32, FP64 = torch.bfloat16, torch.float16, torch.float32, torch.float64
FILES = {generated_class(spec): path_of(spec) for spec in ALL}


@cache
def programs_of(kind: Optimizer) -> dict[str, Any]:
    return {each.route: each for each in pipeline(FILES[kind], Options()).program().programs()}


def transposed(given: Tensor) -> Tensor:
    return given.mT.contiguous().mT if given.ndim > 1 else given


def strided(given: Tensor) -> Tensor:
    return given.unsqueeze(-1).expand(*given.shape, 2).contiguous()[..., 0]


def expanded(given: Tensor) -> Tensor:
    """One number for all elements, and no memory for the others."""
    return given.reshape(-1)[:1].reshape([1] * given.ndim).expand(given.shape)


def scaled(size: float) -> Callable[[Tensor], Tensor]:
    return lambda given: (size * given.float()).to(given.dtype)


KINDS: dict[str, Callable[[Tensor], Tensor]] = {
    "zero": torch.zeros_like,
    "tiny": scaled(2.0**-20),
    "huge": scaled(2.0**13),
    "transposed": transposed,
    "strided": strided,
    "expanded": expanded,
}
BEYOND = {"tiniest": scaled(1e-30), "hugest": scaled(1e15)}
"""What bf16 holds and fp16 does not. Squares of these are beyond fp32, or as large as it bears."""


def assert_as_the_oracle(kind: Optimizer, dtype: torch.dtype, form: Callable[[Tensor], Tensor], **options: Any) -> None:
    """Two steps, each off by no more than four times what rounding every value in its format explains."""
    parameters = new_parameters(kind, dtype)
    optimizer = kind(new_groups(parameters), **options)
    computed = FP32 if options else dtype
    for step in (1, 2):
        starts = []
        for index, parameter in enumerate(flat(parameters)):
            given = random(tuple(parameter.shape), 100 * step + index, dtype)
            parameter.grad = form(given)
            state = {name: value.double().clone() for name, value in optimizer.state.get(parameter, {}).items()}
            starts.append((state.pop("master", parameter.detach().double().clone()), state))
        optimizer.step()
        for route, members in parameters.items():
            for parameter in members:
                begin, state = starts.pop(0)
                group = next(each for each in optimizer.param_groups if each["route"] == route)
                hypers = {hyper.name: group[hyper.name] for hyper in kind.hypers}
                program = programs_of(kind)[route]
                state = state or initial_state(program, begin, parameter.grad)
                given = (program, begin, parameter.grad, state, hypers, step)
                exact = interpret(*given)
                noisy = [interpret(*given, Noise(computed, seed)) for seed in range(3)]
                found = {**optimizer.state[parameter]}
                found["parameter"] = found.pop("master", parameter.detach())
                assert torch.equal(parameter, found["parameter"].to(dtype))
                for name, expected in exact.items():
                    error = float((found[name].double() - expected).norm())
                    explained = max(float((each[name] - expected).norm()) for each in noisy)
                    smallest = torch.finfo(computed).tiny * expected.numel()
                    assert error <= 4 * explained + smallest, f"{route} {tuple(parameter.shape)} {name} {step}"


@every_class_costly
@pytest.mark.parametrize("form", [*KINDS, *BEYOND])
@pytest.mark.parametrize("options", [{}, {"master_weights": True}], ids=["plain", "masters"])
def test_gradients_in_bf16_yield_what_the_oracle_yields(kind: Optimizer, form: str, options: dict[str, Any]) -> None:
    assert_as_the_oracle(kind, BF16, {**KINDS, **BEYOND}[form], **options)


@every_class_costly
@pytest.mark.parametrize("form", KINDS)
def test_gradients_in_fp16_yield_what_the_oracle_yields_where_there_are_masters(kind: Optimizer, form: str) -> None:
    """Without them states would be in fp16, which does not hold squares of gradients, nor Adam's eps."""
    assert_as_the_oracle(kind, FP16, KINDS[form], master_weights=True)


# Other formats than the parameter's


def with_gradients(
    kind: Optimizer,
    parameters: dict[str, list[Parameter]],
    dtype: torch.dtype,
    through: torch.dtype | None = None,
    **options: Any,
) -> Any:
    """After two steps with gradients of that dtype, whose numbers may have gone through another one."""
    optimizer = kind(new_groups(parameters), **options)
    for step in range(2):
        for index, parameter in enumerate(flat(parameters)):
            given = random(tuple(parameter.shape), 10 * step + index, FP64)
            parameter.grad_dtype = dtype
            parameter.grad = given.to(through or dtype).to(dtype)
        optimizer.step()
    return optimizer


@every_class_costly
@pytest.mark.parametrize(("dtype", "gradients"), [(FP32, BF16), (FP32, FP16), (FP32, FP64), (BF16, FP32), (FP16, FP32)])
def test_gradients_are_converted_to_the_format_of_the_parameter(
    kind: Optimizer, dtype: torch.dtype, gradients: torch.dtype
) -> None:
    found = with_gradients(kind, new_parameters(kind, dtype), gradients)
    expected = with_gradients(kind, new_parameters(kind, dtype), dtype, through=gradients)
    for one, other in zip(snapshot(found), snapshot(expected), strict=True):
        assert one.dtype == other.dtype
        assert torch.equal(one.nan_to_num(), other.nan_to_num())


@every_class_costly
@pytest.mark.parametrize("dtype", [BF16, FP16])
def test_masters_take_gradients_in_fp32_as_they_are(kind: Optimizer, dtype: torch.dtype) -> None:
    starts = new_parameters(kind, dtype)
    wide = {route: [Parameter(each.detach().float()) for each in members] for route, members in starts.items()}
    expected = with_gradients(kind, wide, FP32)
    found = with_gradients(kind, starts, FP32, master_weights=True)
    masters = [found.state[each]["master"] for each in flat(starts)]
    assert_same(masters, [each.detach() for each in flat(wide)])
    assert_same([each.detach() for each in flat(starts)], [each.to(dtype) for each in masters])
    assert expected.state_dict()["state"].keys() == found.state_dict()["state"].keys()


def test_random_rounding_takes_gradients_in_fp32_as_they_are() -> None:
    kind = of_text(ADAMW)
    narrow, wide = Parameter(random((40,), 1, BF16)), Parameter(random((40,), 1, BF16).float())
    narrow.grad_dtype = FP32
    narrow.grad = wide.grad = random((40,), 2)
    kind([narrow], lr=0.1, stochastic_rounding=3).step()
    kind([wide], lr=0.1).step()
    assert torch.equal(narrow, rounded_at_random(wide.detach(), 3, 1, 0))


def test_a_scale_is_undone_before_a_gradient_is_narrowed() -> None:
    """2²⁰ is beyond fp16, and what it stands for is 1."""
    parameter = Parameter(torch.ones(3, dtype=FP16))
    optimizer = of_text("optimizer Plain\nhyper lr = 1\notherwise { update <- update }\n")([parameter], lr=0.25)
    parameter.grad_dtype = FP32
    parameter.grad = torch.full((3,), 2.0**20)
    optimizer.grad_scale = torch.tensor(2.0**20)
    optimizer.step()
    assert torch.equal(parameter, torch.full((3,), 0.75, dtype=FP16))


def test_small_gradients_add_up_in_fp32() -> None:
    """1 and 512 times 2⁻¹⁰, one backward pass after the other: in bf16 the sum would stay 1."""
    text = "optimizer Plain\nhyper lr = 1\notherwise { update <- update }\n"
    moved = {}
    for dtype in (FP32, BF16):
        parameter = Parameter(torch.full((3,), 4.0, dtype=BF16))
        parameter.grad_dtype = dtype
        optimizer = of_text(text)([parameter], lr=1.0, master_weights=True)
        for part in [1.0] + [2.0**-10] * 512:
            (parameter.float() * part).sum().backward()
        optimizer.step()
        moved[dtype] = 4 - optimizer.state[parameter]["master"]
    assert torch.equal(moved[FP32], torch.full((3,), 1.5))
    assert torch.equal(moved[BF16], torch.full((3,), 1.0))


@every_class_costly
@pytest.mark.parametrize("dtype", [torch.int32, torch.complex64])
def test_gradients_that_are_no_real_numbers_are_refused_before_anything_is_changed(
    kind: Optimizer, dtype: torch.dtype
) -> None:
    good, bad = Parameter(random((4, 6), 1)), Parameter(random((4, 6), 2))
    optimizer = kind([{"params": [good, bad], "route": "matrix"}])
    before = snapshot(optimizer)
    good.grad = random((4, 6), 3)
    bad.grad_dtype = None
    bad.grad = torch.ones(4, 6, dtype=dtype)
    with pytest.raises(RuntimeError, match=f"only supports floating-point gradients but got: {dtype}"):
        optimizer.step()
    assert_same(snapshot(optimizer), before)
