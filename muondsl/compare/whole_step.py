"""Whole steps of two specs for the same gradients, from the same parameter, at the defaults of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from muondsl.compare.finding import Number
from muondsl.compare.probe_values import default_hypers
from muondsl.compare.respond import cosine, gaussian, rms
from muondsl.ir.interpreter import initial_state, interpret
from muondsl.lower import lower

if TYPE_CHECKING:
    from torch import Tensor

    from muondsl.check import CheckedSpec

SHAPES = ((32, 128), (128, 32), (64, 64))
STEPS = (1, 10)
SIZE = 0.02
"""Root mean square of the parameter, as models are initialized."""


def whole_steps(a: CheckedSpec, b: CheckedSpec) -> tuple[Number, ...]:
    """The movement of the parameter over the learning rate, as a root mean square, after some steps."""
    found = []
    for shape in SHAPES:
        first, second = (_movements(spec, shape) for spec in (a, b))
        for step, x, y in zip(STEPS, first, second, strict=True):
            words = f"{shape[0]} × {shape[1]}, {step} step{'' if step == 1 else 's'}"
            found.append(Number(words, rms(x), rms(y), cosine(x, y)))
    return tuple(found)


def _movements(spec: CheckedSpec, shape: tuple[int, int]) -> list[Tensor]:
    program = lower(spec).programs()[0]
    hypers = default_hypers(spec)
    start = parameter = SIZE * gaussian(shape, 99)
    states: dict[str, Tensor] = {}
    found = []
    for step in range(1, max(STEPS) + 1):
        gradient = gaussian(shape, 100) + gaussian(shape, step)
        states = states or initial_state(program, parameter, gradient)
        after = interpret(program, parameter, gradient, states, hypers, step)
        parameter = after.pop("parameter")
        states = after
        if step in STEPS:
            lr = hypers["lr"]
            assert isinstance(lr, float)
            found.append((parameter - start) / (lr or 1.0))
    return found
