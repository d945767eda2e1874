"""The unit of a state, learnt by impulses: the program is asked what it makes of the state, the gradient and the
parameter alone, each of the others zero, and then of all of them, which must be the sum.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from muondsl.conversion.checkpoint import HyperValues
from muondsl.conversion.unit import Unit
from muondsl.ir import program as ir
from muondsl.ir.interpreter import initial_state, interpret
from muondsl.ir.scalar import Symbol, symbols
from muondsl.optimize.remove_unused import remove_unused

if TYPE_CHECKING:
    from muondsl.runtime import State

SHAPE = (3, 2)
TOLERANCE = 1e-10
"""Of float64, where a sum of three terms is exact but for rounding."""


def states_of(program: ir.Program, names: frozenset[str]) -> ir.Program:
    """The part of a program that makes the new values of these states."""
    results = tuple(result for result in program.results if result.target in names)
    return remove_unused(replace(program, results=results))


def program_to_unit(program: ir.Program, state: str, hypers: HyperValues, step: int) -> Unit | None:
    """The unit of a state at a step, which counts from one; None where its recurrence is not linear in the state, the
    gradient and the parameter, or has other factors for some elements than for others.
    """
    part = states_of(program, frozenset({state}))
    kept, gradient, parameter = _random(0), _random(1), _random(2)
    zero = torch.zeros_like(gradient)
    rest = initial_state(part, zero, zero)
    if rest[state].shape != gradient.shape:
        return None

    def new(own: Tensor, gradient: Tensor, parameter: Tensor, others: Mapping[str, Tensor]) -> Tensor:
        return interpret(part, parameter, gradient, {**others, state: own}, hypers, step)[state]

    keep, take, pull = (
        _factor(new(kept, zero, zero, rest), kept),
        _factor(new(zero, gradient, zero, rest), gradient),
        _factor(new(zero, zero, parameter, rest), parameter),
    )
    others = {name: torch.rand_like(value) for name, value in rest.items()}
    found = new(kept, gradient, parameter, others)
    expected = keep * kept + take * gradient + pull * parameter
    if not torch.allclose(found, expected, rtol=TOLERANCE, atol=TOLERANCE):
        return None
    return Unit(keep, take, pull, symbols_of(part))


def reads_step(program: ir.Program, states: Iterable[State]) -> bool:
    """Whether what becomes of one of the states depends on the number of steps."""
    part = states_of(program, frozenset(state.name for state in states))
    return any(symbol.kind == "step" for symbol in symbols_of(part))


def _random(seed: int) -> Tensor:
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _factor(response: Tensor, impulse: Tensor) -> float:
    """What the impulse was multiplied with, measured where it is largest; a response of another form is found later."""
    place = impulse.abs().flatten().argmax()
    return float(response.flatten()[place] / impulse.flatten()[place])


def symbols_of(program: ir.Program) -> frozenset[Symbol]:
    return frozenset(
        symbol
        for definition in program.definitions
        for scalar in ir.scalars(definition.operation)
        for symbol in symbols(scalar)
    )
