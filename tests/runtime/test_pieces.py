"""Large parameters that are stepped piece by piece, against steps of the whole."""

from __future__ import annotations

import ast
import inspect
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import Parameter

from generated.moonlight import Moonlight, update_otherwise
from muondsl.runtime import torch_path
from tests.runtime.subjects import CLASSES, Optimizer, every_generated_class, random

SHAPE = (37, 64)
ELEMENTWISE = [(kind, route) for kind in CLASSES for route in sorted(kind.elementwise)]


def stepped(kind: Any, route: str, shape: tuple[int, ...] = SHAPE, **options: Any) -> list[Tensor]:
    """Parameters and states after three steps: in order, and one whose gradient is not."""
    parameters = [Parameter(random(shape, index)) for index in range(2)]
    optimizer = kind([{"params": parameters, "route": route}], **options)
    for step in range(3):
        parameters[0].grad = random(shape, 10 + step)
        parameters[1].grad = random(shape[::-1], 20 + step).t()
        optimizer.step()
    states = [optimizer.state[parameter] for parameter in parameters]
    return [*parameters, *(state[name] for state in states for name in sorted(state))]


def counted_calls(kind: Any, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The elements of each call, as they are stepped."""
    sizes: list[int] = []
    update = kind.update_parameter

    def counted(self: Any, route: str, parameter: Tensor, *others: Any) -> None:
        sizes.append(parameter.numel())
        update(self, route, parameter, *others)

    monkeypatch.setattr(kind, "update_parameter", counted)
    return sizes


@pytest.mark.parametrize(
    ("kind", "route"), ELEMENTWISE, ids=[f"{kind.__name__} {route}" for kind, route in ELEMENTWISE]
)
def test_pieces_have_the_bits_of_the_whole(kind: Optimizer, route: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = stepped(kind, route)
    monkeypatch.setattr(torch_path, "PIECE_ELEMENTS", 512)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    sizes = counted_calls(kind, monkeypatch)
    try:
        pieces = stepped(kind, route)
    finally:
        torch.set_num_threads(threads)
    assert sizes == [512, 512, 512, 512, 320, 2368] * 3
    for mine, theirs in zip(pieces, whole, strict=True):
        assert torch.equal(mine, theirs)


def test_pieces_as_large_as_they_are_have_the_bits_of_the_whole() -> None:
    """Four pieces, the last of an odd length."""
    parameter, gradient = random((200_003,), 0), random((200_003,), 1)
    whole = [parameter.clone(), torch.zeros_like(parameter), torch.zeros_like(parameter)]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        optimizer = Moonlight([{"params": [Parameter(parameter)], "route": "otherwise"}], lr=1e-3, weight_decay=0.1)
        (member,) = optimizer.param_groups[0]["params"]
        member.grad = gradient
        for step in (1, 2):
            optimizer.step()
            update_otherwise(whole[0], gradient, whole[1], whole[2], lr=1e-3, weight_decay=0.1, step=step)
    finally:
        torch.set_num_threads(threads)
    state = optimizer.state[member]
    for mine, theirs in zip((member, state["exp_avg"], state["exp_avg_sq"]), whole, strict=True):
        assert torch.equal(mine, theirs)


def test_there_are_such_routes() -> None:
    assert len(ELEMENTWISE) > 20
    assert (Moonlight, "otherwise") in ELEMENTWISE


@every_generated_class
def test_nothing_on_an_elementwise_route_sees_more_than_its_own_place(kind: Optimizer) -> None:
    """By its text: no product, reduction, shape or iteration is in it."""
    for route in kind.elementwise:
        function = getattr(inspect.getmodule(kind), f"update_{route}")
        names = {
            node.attr if isinstance(node, ast.Attribute) else node.id
            for node in ast.walk(ast.parse(inspect.getsource(function)))
            if isinstance(node, ast.Attribute | ast.Name)
        }
        forbidden = {"sum", "mean", "amax", "vector_norm", "mT", "shape", "numel", "iterated", "linalg", "rows", "cols"}
        assert not names & forbidden
        assert "@" not in inspect.getsource(function).replace("@torch", "")


@pytest.mark.parametrize("options", [{"master_weights": True}, {"stochastic_rounding": 3}], ids=str)
def test_pieces_of_parameters_in_bf16(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def result() -> list[Tensor]:
        parameter = Parameter(random(SHAPE, 0).bfloat16())
        parameter.grad = random(SHAPE, 1).bfloat16()
        optimizer = Moonlight([{"params": [parameter], "route": "otherwise"}], **options)
        optimizer.step()
        optimizer.step()
        return [parameter, *optimizer.state[parameter].values()]

    whole = result()
    monkeypatch.setattr(torch_path, "PIECE_ELEMENTS", 64)
    for mine, theirs in zip(result(), whole, strict=True):
        assert torch.equal(mine, theirs)
