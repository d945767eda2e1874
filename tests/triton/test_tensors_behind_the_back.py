"""Kernels read by address: what was moved or converted since is refused, what they write is known to autograd, and the
user's default device is not theirs.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.triton.interpreted import interpreted
from tests.triton.stepping import loaded, save_findings

SHAPE = (24, 40)


def stepped_once(dtype: torch.dtype = torch.float32) -> tuple[Any, torch.nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    parameter = torch.nn.Parameter(torch.randn(SHAPE, generator=generator).to(dtype))
    optimizer = loaded("moonlight")([{"params": [parameter], "route": "matrix"}], backend="triton")
    parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    return optimizer, parameter


def error_of(optimizer: Any) -> str:
    try:
        optimizer.step()
    except RuntimeError as error:
        return str(error)
    return ""


def converted(before: torch.dtype, after: torch.dtype) -> str:
    optimizer, parameter = stepped_once(before)
    parameter.data = parameter.data.to(after)
    parameter.grad = torch.ones_like(parameter)
    return error_of(optimizer)


def enlarged() -> str:
    optimizer, parameter = stepped_once()
    parameter.grad = None
    parameter.data = torch.zeros(30, 40)
    parameter.grad = torch.ones(30, 40)
    return error_of(optimizer)


def versions() -> list[int]:
    optimizer, parameter = stepped_once()
    state = optimizer.state[parameter]["momentum_buffer"]
    before = parameter._version, state._version
    optimizer.step()
    return [parameter._version - before[0], state._version - before[1]]


def backward_behind_a_step() -> str:
    optimizer, parameter = stepped_once()
    loss = parameter.square().sum()
    optimizer.step()
    try:
        loss.backward()
    except RuntimeError as error:
        return str(error)
    return ""


def on_a_default_device() -> list[torch.Tensor]:
    found = []
    for device in ("cpu", "meta"):
        optimizer, parameter = stepped_once()
        with torch.device(device):
            optimizer.step()
        fresh = torch.nn.Parameter(parameter.detach().clone())
        fresh.grad = torch.ones_like(fresh)
        other = loaded("moonlight")([{"params": [fresh], "route": "otherwise"}], backend="triton")
        with torch.device(device):
            other.step()
        found += [parameter.detach(), fresh.detach()]
    return found


def compiled() -> list[torch.Tensor]:
    found = []
    for is_compiled in (False, True):
        optimizer, parameter = stepped_once()
        step = torch.compile(optimizer.step, backend="eager") if is_compiled else optimizer.step
        for _ in range(2):
            step()
        found.append(parameter.detach())
    return found


CASES = {
    "compiled": compiled,
    "narrowed": lambda: converted(torch.float32, torch.bfloat16),
    "widened": lambda: converted(torch.bfloat16, torch.float32),
    "enlarged": enlarged,
    "versions": versions,
    "backward": backward_behind_a_step,
    "default device": on_a_default_device,
}


@pytest.mark.parametrize(("case", "found"), [("narrowed", "float32"), ("widened", "bfloat16"), ("enlarged", r"24, 40")])
def test_a_parameter_changed_behind_the_optimizer_is_refused(case: str, found: str) -> None:
    message = interpreted(__name__)[case]
    assert "momentum_buffer is" in message
    assert found in message
    assert "behind the optimizer's back" in message


def test_autograd_knows_of_what_kernels_write() -> None:
    assert interpreted(__name__)["versions"] == [1, 1]
    assert "modified by an inplace operation" in interpreted(__name__)["backward"]


def test_a_default_device_changes_no_bit() -> None:
    plain, other, *elsewhere = interpreted(__name__)["default device"]
    assert torch.equal(plain, elsewhere[0])
    assert torch.equal(other, elsewhere[1])


def test_a_compiled_step_launches_what_a_plain_one_does() -> None:
    plain, compiled_step = interpreted(__name__)["compiled"]
    assert torch.equal(plain, compiled_step)


if __name__ == "__main__":
    save_findings(CASES)
