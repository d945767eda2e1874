"""What every spec does where formulas divide by something that may be zero."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.parity.trajectories import gradient, loaded, start
from tests.specs import ALL

SHAPES = ((6, 4), (4, 6), (5, 5))
PROJECTING = ("muon_hyperball", "spel")


def stepped(spec: str, begin: Tensor, gradients: list[Tensor], **hypers: float) -> Tensor:
    parameter = begin.clone().requires_grad_()
    kind = loaded(spec)
    route = "matrix" if "matrix" in kind.states else "otherwise"
    optimizer = kind([{"params": [parameter], "route": route, **hypers}])
    for each in gradients:
        parameter.grad = each
        optimizer.step()
    return parameter.detach()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("spec", ALL)
def test_zeros_are_no_quotients_by_zero(spec: str, dtype: torch.dtype, shape: tuple[int, int]) -> None:
    zeros, begin, ordinary = (
        each.to(dtype) for each in (torch.zeros(shape), start(shape).detach(), gradient(shape, 0))
    )
    partly = ordinary.clone()
    partly[0] = partly[:, 0] = 0
    assert stepped(spec, begin, [zeros, ordinary, partly, zeros]).isfinite().all()
    assert stepped(spec, begin, [1e-4 * ordinary]).isfinite().all()
    assert not stepped(spec, zeros, [zeros, zeros]).any()


@pytest.mark.parametrize("spec", ALL)
def test_a_learning_rate_of_zero_moves_nothing(spec: str) -> None:
    begin = start((6, 4)).detach()
    found = stepped(spec, begin, [gradient((6, 4), step) for step in range(3)], lr=0)
    if spec in PROJECTING:
        assert found.isfinite().all()
    else:
        assert found.equal(begin)


def test_a_sphere_is_not_left() -> None:
    begin = start((6, 4)).detach()
    found = stepped("muon_hyperball", begin, [gradient((6, 4), step) for step in range(3)], weight_decay=0, lr=0.5)
    assert not found.allclose(begin)
    torch.testing.assert_close(found.norm(), begin.norm())
    assert not stepped("muon_hyperball", torch.zeros(6, 4), [gradient((6, 4), 0)]).any()
