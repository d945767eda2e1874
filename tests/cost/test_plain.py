"""The plain way's list of operators is what torch.optim puts on the dispatcher."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from muondsl.cost.plain import adamw, muon, plain_works
from muondsl.cost.population import Population
from tests.cost.expected import split_gpt2

VIEWS = {"t", "permute", "transpose", "detach", "view", "alias"}


class Recorder(TorchDispatchMode):
    """Operators that launch work on a device, with the bytes of their tensors: those that are read, each once, and the
    one that is written."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[str, int, int]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if not isinstance(result, Tensor):  # the profiler's own
            return result
        name = func.overloadpacket.__name__
        operands = {each.data_ptr(): each for each in tree_leaves(args) if isinstance(each, Tensor)}
        is_of_the_host = name == "add_" and args[0].ndim == 0
        if name not in VIEWS and not is_of_the_host:
            self.calls.append((name, sum(map(size, operands.values())), size(result)))
        return result


def size(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def recorded(optimizer: torch.optim.Optimizer, *parameters: Tensor) -> list[tuple[str, int, int]]:
    for parameter in parameters:
        parameter.grad = torch.randn_like(parameter)
    optimizer.step()
    recorder = Recorder()
    with recorder:
        optimizer.step()
    return recorder.calls


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(16, 16), (8, 24), (24, 8)])
def test_muon_is_what_torch_calls(shape: tuple[int, int], dtype: torch.dtype) -> None:
    parameter = torch.randn(shape, dtype=dtype)
    calls = recorded(torch.optim.Muon([parameter]), parameter)
    listed = [each for each in muon(*shape, "bf16" if dtype == torch.bfloat16 else "fp32") if not each.is_hidden]
    assert [(each.name, each.loaded, each.stored) for each in listed] == calls
    assert len(calls) == (22 if dtype == torch.bfloat16 else 23)


def test_other_numbers_of_steps_are_what_torch_calls() -> None:
    parameter = torch.randn(8, 12)
    calls = recorded(torch.optim.Muon([parameter], ns_steps=3), parameter)
    assert [each.name for each in muon(8, 12, "fp32", 3) if not each.is_hidden] == [name for name, _, _ in calls]


def test_adamw_is_what_torch_calls() -> None:
    parameter = torch.randn(40)
    calls = recorded(torch.optim.AdamW([parameter], foreach=False), parameter)
    assert [(each.name, each.loaded, each.stored) for each in adamw(40, "fp32")] == calls


def test_flops_of_products_are_dense() -> None:
    products = [each for each in muon(1024, 256, "fp32") if each.is_product]
    assert sum(each.flops for each in products) == 5 * (2 * 2 * 256 * 256 * 1024 + 2 * 256**3)


def test_a_matrix_of_gpt2_moves_114_bytes_an_element_and_149_with_copies() -> None:
    shapes = [shape.sizes for shape in split_gpt2()]
    seen = hidden = 0.0
    for rows, cols in shapes:
        for each in muon(rows, cols, "fp32"):
            moved = (each.loaded + each.stored) / (rows * cols)
            seen += 0 if each.is_hidden else moved
            hidden += moved if each.is_hidden else 0
    assert round(seen / len(shapes)) == 114
    assert round((seen + hidden) / len(shapes)) == 149


def test_72_matrices_take_2376_launches() -> None:
    works = list(plain_works(Population.of_matrices(split_gpt2(), "fp32"), "matrix", 5))
    assert sum(work.launches for work in works) == 72 * (23 + 10) == 2376
