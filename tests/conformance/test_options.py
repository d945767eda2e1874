"""`fused`, `foreach` and `differentiable`: what torch's optimizers take, taken where it has a meaning and refused where
it has none.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import Parameter

from generated.moonlight import Moonlight
from muondsl.runtime import backend
from tests.runtime.subjects import (
    Optimizer,
    advance,
    assert_same,
    every_generated_class,
    new_groups,
    new_parameters,
    random,
    snapshot,
)

DEFAULTS: list[dict[str, Any]] = [
    {"fused": None, "foreach": None, "differentiable": False},
    {"fused": False, "foreach": False},
]


@every_generated_class
@pytest.mark.parametrize("options", DEFAULTS, ids=["none", "false"])
def test_what_nobody_demands_changes_nothing(kind: Optimizer, options: dict[str, Any]) -> None:
    plain, given = kind(new_groups(new_parameters(kind))), kind(new_groups(new_parameters(kind)), **options)
    for optimizer in (plain, given):
        advance(optimizer, range(2))
    assert_same(snapshot(given), snapshot(plain))
    assert given.backend.options == plain.backend.options
    assert not set(options) & set(given.defaults)


@every_generated_class
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fused": True, "foreach": True}, "`fused` and `foreach` cannot both be True"),
        ({"foreach": True}, "{name} does not support foreach=True: .* see backend"),
        ({"differentiable": True}, "{name} does not support differentiable=True: a step changes parameters in place"),
        ({"fused": True, "backend": "torch"}, "`fused=True` means backend='triton'"),
    ],
    ids=["fused and foreach", "foreach", "differentiable", "fused in torch"],
)
def test_what_a_class_does_not_do_is_refused_with_the_reason(
    kind: Optimizer, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(RuntimeError, match=message.format(name=kind.__name__)):
        kind(new_groups(new_parameters(kind)), **options)


@every_generated_class
def test_fused_is_refused_at_once_where_no_kernel_can_run(kind: Optimizer) -> None:
    reason = "on the CPU they run in Triton's interpreter alone" if kind.launches else "has no Triton form"
    with pytest.raises(RuntimeError, match=reason):
        kind(new_groups(new_parameters(kind)), fused=True)


@pytest.mark.parametrize("given", [{"fused": True}, {"fused": True, "backend": "auto"}, {"backend": "triton"}])
def test_fused_is_the_backend_of_kernels(given: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "IS_INTERPRETING", True)
    optimizer = Moonlight([{"params": [Parameter(random((4, 6), 1))], "route": "matrix"}], **given)
    assert optimizer.backend.options.backend == "triton"
    parameter = optimizer.param_groups[0]["params"][0]
    assert optimizer.backend.choice(optimizer, "matrix", parameter).backend == "triton"
    with pytest.raises(RuntimeError, match="kernels compute in fp32, which does not hold float64"):
        Moonlight([{"params": [Parameter(random((4, 6), 1, torch.float64))], "route": "matrix"}], fused=True)


@every_generated_class
def test_a_step_runs_without_grad_whatever_the_caller_has_set(kind: Optimizer) -> None:
    optimizer = kind(new_groups(new_parameters(kind)))
    with torch.enable_grad():
        advance(optimizer, range(2))
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            assert parameter.is_leaf
            assert not any(state.requires_grad for state in optimizer.state[parameter].values())
