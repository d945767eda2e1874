"""A parameter of one shape, its gradients over some steps, and what the oracle makes of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from muondsl.ir.interpreter import FORMATS, Noise, initial_state, interpret

if TYPE_CHECKING:
    from muondsl.check import CheckedSpec
    from muondsl.ir.program import Program
    from muondsl.ir.types import DType

LR = 0.02

HyperValues = dict[str, float | tuple[float, ...]]
Values = dict[str, Tensor]
"""A parameter under `parameter` and its states under their names, in float64."""


@dataclass
class Trial:
    """The same numbers for every path that is tried with them, in every format that can hold them.

    With parameters of 16 bits, which hold no small movements, every step begins anew from what the path holds, and
    errors are those of the parameter and its states. Otherwise path and oracle go their ways, and errors are those of
    the movement of the parameter, and of the states, at the end.
    """

    program: Program
    shape: tuple[int, ...]
    dtype: torch.dtype
    hypers: HyperValues
    steps: int
    start: Tensor = field(init=False)
    gradients: list[Tensor] = field(init=False)

    def __post_init__(self) -> None:
        generator = torch.Generator().manual_seed(sum(self.shape) + 1)
        tensors = [
            torch.randn(self.shape, generator=generator, dtype=torch.float32).to(self.dtype)
            for _ in range(self.steps + 1)
        ]
        self.start, self.gradients = (0.05 * tensors[0].to(torch.float32)).to(self.dtype), tensors[1:]
        self.before: Values = {
            "parameter": self.start.double(),
            **initial_state(self.program, self.start, self.gradients[0]),
        }

    @property
    def is_stepwise(self) -> bool:
        return self.dtype.itemsize == 2

    def followed(self, held: list[Values], noise: Noise | None = None, program: Program | None = None) -> list[Values]:
        """What the oracle makes of each step, from its own results or, stepwise, from what the path held."""
        found = [self.before]
        for index, gradient in enumerate(self.gradients):
            before = (held if self.is_stepwise else found)[index]
            hypers = {**self.hypers, "lr": lr_of(index)}
            chosen = program or self.program
            found.append(interpret(chosen, before["parameter"], gradient, before, hypers, index + 1, noise))
        return found

    def distance(self, found: list[Values], exact: list[Values]) -> float:
        if self.is_stepwise:
            pairs = zip(found[1:], exact[1:], strict=True)
            return max(relative(each[name], expected[name]) for each, expected in pairs for name in expected)
        last, expected, start = found[-1], exact[-1], self.before["parameter"]
        errors = [relative(last[state.name], expected[state.name]) for state in self.program.states]
        return max(relative(last["parameter"] - start, expected["parameter"] - start), *errors, 0.0)


class Truncation(Noise):
    """As `Noise`, but bf16 is cut off: up to one unit in the last place, always towards zero."""

    def disturb(self, value: Tensor, dtype: DType) -> Tensor:
        if dtype.is_mask or not dtype.fixed or FORMATS[dtype.fixed] != torch.bfloat16:
            return super().disturb(value, dtype)
        cut = torch.rand(value.shape, generator=self.generator, dtype=torch.float64)
        return value * (1 - cut * torch.finfo(torch.bfloat16).eps)


def hyper_values(checked: CheckedSpec) -> HyperValues:
    """Values under which every term acts: a fixed learning rate, and 0.1 where a default of zero would hide one."""
    values: HyperValues = {}
    for hyper in checked.hypers:
        if isinstance(hyper.default, tuple):
            values[hyper.name] = tuple(float(each) for each in hyper.default)
        else:
            default = float(hyper.default)
            values[hyper.name] = 0.1 if default == 0 and 0.1 in hyper.interval else default
    values["lr"] = LR
    return values


def lr_of(index: int) -> float:
    return LR * (1 + math.cos(index)) / 2


def relative(found: Tensor, expected: Tensor) -> float:
    norm = float(torch.linalg.vector_norm(expected))
    distance = float(torch.linalg.vector_norm(found - expected))
    return distance / norm if norm else distance
