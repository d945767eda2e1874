"""Runs isolated stages on numbers, with the interpreter that is the oracle. What imports this module imports torch."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from muondsl.ir.interpreter import initial_state, interpret

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from muondsl.compare.isolate import Isolated
    from muondsl.compare.probe_values import Hypers

TALL, WIDE = (6, 4), (4, 7)
"""Of unlike numbers of elements, so that a norm and a root mean square that are always the same are told apart."""


@dataclass(frozen=True, slots=True)
class Responder:
    """A stage with the hypers with which it is run. All tensors are of float64. Raises ArithmeticError and ValueError
    where a number has no value.

    A gradient that is another than the update is the same in all runs but for its size, and so is the parameter where
    none is given.
    """

    isolated: Isolated
    hypers: Hypers

    def fresh(self, update: Tensor, parameter: Tensor) -> dict[str, Tensor]:
        """The states of the stage as its first step finds them."""
        kept = self.isolated.kept
        own = tuple(state for state in self.isolated.program.states if state.name in kept)
        return initial_state(replace(self.isolated.program, states=own), parameter, update)

    def run(
        self,
        update: Tensor,
        parameter: Tensor | None = None,
        states: dict[str, Tensor] | None = None,
        step: int = 1,
        previous: Tensor | None = None,
        gradient_size: float = 1.0,
    ) -> dict[str, Tensor]:
        """One step: what the program leaves, by its names. Without states, the first ones."""
        parameter = gaussian(update.shape, 99) if parameter is None else parameter
        states = self.fresh(update, parameter) if states is None else states
        given = {"update": update, "previous": parameter if previous is None else previous, **states}
        gradient = gradient_size * gaussian(update.shape, 98)
        try:
            return interpret(self.isolated.program, parameter, gradient, given, self.hypers, step)
        except RuntimeError as error:  # What torch raises where LAPACK does not converge, or finds NaN.
            raise ArithmeticError(str(error)) from None

    def sequence(self, updates: list[Tensor], parameter: Tensor | None = None) -> list[dict[str, Tensor]]:
        """Steps one after the other, with the states that each leaves to the next and one parameter for all."""
        states: dict[str, Tensor] | None = None
        found = []
        for step, update in enumerate(updates, 1):
            found.append(self.run(update, parameter, states, step))
            states = {name: found[-1][name] for name in self.isolated.kept}
        return found


def to_responder(isolated: Isolated, hypers: Hypers) -> Responder:
    """The stage, joined with those from which it reads."""
    return Responder(isolated.joined or isolated, hypers)


def gaussian(shape: Sequence[int], seed: int = 0) -> Tensor:
    """The same numbers for the same seed and shape on every machine."""
    generator = torch.Generator().manual_seed(1000 * seed + 10 * shape[0] + shape[1])
    return torch.randn(tuple(shape), generator=generator, dtype=torch.float64)


def rotation(size: int, seed: int) -> Tensor:
    """An orthogonal matrix."""
    q: Tensor = torch.linalg.qr(gaussian((size, size), seed)).Q
    return q


def rms(x: Tensor) -> float:
    return _comparable(x.square().mean().sqrt().item())


def cosine(x: Tensor, y: Tensor) -> float:
    """That of the angle between two tensors; 0 where one of them is nothing."""
    size = x.norm().item() * y.norm().item()
    return _comparable((x.contiguous() * y.contiguous()).sum().item() / size) if size else 0.0


def _comparable(number: float) -> float:
    """The number; one object for all that are none, so that findings with them can be equal."""
    return math.nan if math.isnan(number) else number
