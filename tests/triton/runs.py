"""Steps by kernels whose parameters and gradients may have other formats than the numbers they hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from tests.triton.stepping import grouped, numbers

BF16, FP16, FP32 = torch.bfloat16, torch.float16, torch.float32

# Odd and aligned matrices, one row, several tiles; parameters of any shape, one number, several blocks.
SHAPES: list[tuple[int, ...]] = [(17, 33), (32, 80), (1, 7), (70, 20), (5,), (), (3, 4, 5), (1100,)]

Findings = dict[str, Tensor]


class Run:
    """Parameters with an optimizer, which has two routes or, with `as_matrices`, one. `form` lays parameters in memory.
    They hold numbers that fit into `through`, and so do gradients, which are in the format `gradients`.
    """

    def __init__(
        self,
        kind: Any,
        shapes: Sequence[tuple[int, ...]],
        dtype: torch.dtype = FP32,
        *,
        through: torch.dtype | None = None,
        gradients: torch.dtype | None = None,
        form: Callable[[Tensor], Tensor] = lambda given: given,
        as_matrices: bool = False,
        **options: Any,
    ) -> None:
        self.shapes, self.through, self.gradients = shapes, through or dtype, gradients or dtype
        self.parameters = [Parameter(form(each.to(dtype))) for each in numbers(shapes, self.through, 0.05)]
        if as_matrices:
            self.optimizer = kind(self.parameters, backend="triton", **options)
        else:
            self.optimizer = grouped(kind, self.parameters, backend="triton", **options)

    def steps(self, count: int, factor: float = 1.0) -> list[Findings]:
        for step in range(count):
            self.step(step, factor)
        return self.findings()

    def step(self, step: int, factor: float = 1.0, spoilt: float | None = None) -> list[Findings]:
        """With one element of each gradient `spoilt`."""
        given = numbers(self.shapes, self.through, seed=step + 1)
        for parameter, gradient in zip(self.parameters, given, strict=True):
            parameter.grad_dtype = self.gradients
            parameter.grad = factor * gradient.to(self.gradients)
            if spoilt is not None:
                parameter.grad.view(-1)[0] = spoilt
        self.optimizer.step()
        return self.findings()

    def scaled_step(self, step: int, scale: float, spoilt: float | None = None) -> list[Findings]:
        """As GradScaler has it stepped."""
        self.optimizer.grad_scale = torch.tensor(scale)
        self.optimizer.found_inf = torch.tensor(0.0 if spoilt is None else 2.0)  # one of two devices each
        found = self.step(step, scale, spoilt)
        del self.optimizer.grad_scale, self.optimizer.found_inf
        return found

    def findings(self) -> list[Findings]:
        """Copies of each parameter and, if it has been stepped, its states."""
        state = self.optimizer.state
        return [
            {"parameter": each.detach().clone(), **{name: kept.clone() for name, kept in state.get(each, {}).items()}}
            for each in self.parameters
        ]

    def number_of(self, place: int) -> int:
        """The number of a parameter in the optimizer."""
        ordered = [id(each) for group in self.optimizer.param_groups for each in group["params"]]
        return ordered.index(id(self.parameters[place]))


def scaled_and_plain(kind: Any, shapes: Sequence[tuple[int, ...]], dtype: torch.dtype = FP32, **options: Any) -> Any:
    """Two steps without a scale, and the same two with scales and a skipped step in front of each."""
    plain, scaled = (Run(kind, shapes, dtype, **options) for _ in range(2))
    return {
        "expected": plain.steps(2),
        "first": scaled.scaled_step(9, 1024.0, spoilt=float("inf")),
        "before": scaled.scaled_step(0, 1024.0),
        "skipped": scaled.scaled_step(9, 512.0, spoilt=float("nan")),
        "end": scaled.scaled_step(1, 512.0),
    }


def assert_same(found: Sequence[Findings], expected: Sequence[Findings]) -> None:
    """The same bits in the same formats."""
    for one, other in zip(found, expected, strict=True):
        formats = [{name: (each.dtype, each.shape) for name, each in own.items()} for own in (one, other)]
        assert formats[0] == formats[1]
        for name in one:
            assert torch.equal(one[name], other[name]), name


def assert_skipped_and_scaled(found: Any) -> None:
    """Skipped steps have changed nothing, and scales no bit."""
    assert all(set(each) == {"parameter"} for each in found["first"])
    assert_same(found["skipped"], found["before"])
    assert_same(found["end"], found["expected"])
    pairs = zip(found["before"], found["end"], strict=True)
    assert all(not torch.equal(before["parameter"], end["parameter"]) for before, end in pairs)


def transposed(given: Tensor) -> Tensor:
    return given.mT.contiguous().mT if given.ndim == 2 else given


def misaligned(given: Tensor) -> Tensor:
    memory = torch.empty(given.numel() + 1, dtype=given.dtype)
    return memory[1:].view(given.shape).copy_(given)


LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "plain": lambda given: given,
    "transposed": transposed,
    "misaligned": misaligned,
}
