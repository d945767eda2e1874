"""In which formats the parameters of an optimizer are computed and kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor

from muondsl.runtime.declarations import State
from muondsl.runtime.random_bits import rounded_at_random

MASTER = State("master", dtype=torch.float32, initial="parameter")
ELEMENTS = State("elements in order", dtype=torch.int8)
"""No state, but handled as one: a tensor without memory that lies in order, so that where an element would lie in it is
the element's number.
"""


@dataclass(frozen=True, slots=True)
class Formats:
    """`stored`: of what kernels know as the parameter, and of states without a format of their own. `computed`: of what
    a step keeps between its launches. `rounding`: how the parameter is stored, as `store_parameter` calls it.
    """

    stored: torch.dtype
    computed: torch.dtype
    rounding: str = "nearest"


@dataclass(frozen=True, slots=True)
class Precision:
    """`master_weights`: parameters in bf16 and fp16 are computed in fp32, of which they are the rounding. `seed`: those
    in bf16 are rounded at random, and their states to the nearest. Other parameters are as they are.
    """

    master_weights: bool = False
    seed: int | None = None

    def check(self, name: str) -> None:
        """Raises ValueError for what is no seed, and for both at once."""
        is_seed = isinstance(self.seed, int) and not isinstance(self.seed, bool) and 0 <= self.seed < 2**63
        if self.seed is not None and not is_seed:
            raise ValueError(
                f"stochastic_rounding should be a seed, a whole number from 0 to 2**63 - 1, but is: {self.seed!r}"
            )
        if self.seed is not None and self.master_weights:
            raise ValueError(
                f"{name} cannot have master_weights and stochastic_rounding: a parameter that is the rounding of its "
                "master loses nothing"
            )

    def check_parameter(self, name: str, parameter: Tensor) -> None:
        """Raises TypeError for a format that has no stochastic rounding here."""
        if self.seed is not None and parameter.dtype == torch.float16:
            raise TypeError(f"{name} has stochastic_rounding for torch.bfloat16 but got a parameter in torch.float16")

    def keeps_master(self, dtype: torch.dtype) -> bool:
        return self.master_weights and dtype in (torch.bfloat16, torch.float16)

    def rounds_at_random(self, dtype: torch.dtype) -> bool:
        return self.seed is not None and dtype == torch.bfloat16

    def states(self, declared: tuple[State, ...], dtype: torch.dtype) -> tuple[State, ...]:
        """The states of a parameter of that dtype, given those that its route declares."""
        return _with_master(declared) if self.keeps_master(dtype) else declared

    def table_states(self, declared: tuple[State, ...], dtype: torch.dtype) -> tuple[State, ...]:
        """What kernels have tables of beside parameter and gradient."""
        states = self.states(declared, dtype)
        return (*states, ELEMENTS) if self.rounds_at_random(dtype) else states

    def table_state(self, state: Mapping[str, Tensor], parameter: Tensor) -> Mapping[str, Tensor]:
        """The tensors of `table_states`, given the state of the parameter."""
        if self.rounds_at_random(parameter.dtype):
            return {**state, ELEMENTS.name: _elements_of(parameter.shape)}
        return state

    def formats(self, dtype: torch.dtype) -> Formats:
        if self.keeps_master(dtype):
            return Formats(torch.float32, torch.float32, "bf16" if dtype == torch.bfloat16 else "fp16")
        if self.rounds_at_random(dtype):
            return Formats(dtype, torch.float32, "random")
        return Formats(dtype, dtype)


AS_STORED = Precision()
"""Everything in the format of the parameter."""


@lru_cache(maxsize=256)
def _with_master(declared: tuple[State, ...]) -> tuple[State, ...]:
    return (*(replace(each, dtype=each.dtype or torch.float32) for each in declared), MASTER)


@lru_cache(maxsize=4096)
def _elements_of(shape: torch.Size) -> Tensor:
    return torch.empty(shape, dtype=ELEMENTS.dtype, device="meta")


class Worked:
    """What the torch path computes a step with: a parameter and its states, or its master, or copies in fp32."""

    def __init__(
        self, precision: Precision, parameter: Tensor, state: Mapping[str, Tensor], states: tuple[State, ...]
    ) -> None:
        self._precision, self._kept, self._kept_state = precision, parameter, state
        self.parameter, self.state = parameter, state
        self._copied: list[str] = []
        if precision.keeps_master(parameter.dtype):
            self.parameter = state[MASTER.name]
        elif precision.rounds_at_random(parameter.dtype):
            self.parameter = parameter.float()
            self._copied = [each.name for each in states if each.dtype is None]
            self.state = {**state, **{name: state[name].float() for name in self._copied}}

    def write_back(self, step: int, number: int) -> None:
        """Stores what was computed. `number` is that of the parameter in the optimizer."""
        for name in self._copied:
            self._kept_state[name].copy_(self.state[name])
        if self._precision.rounds_at_random(self._kept.dtype):
            assert self._precision.seed is not None
            self._kept.copy_(rounded_at_random(self.parameter, self._precision.seed, step, number))
        elif self.parameter is not self._kept:
            self._kept.copy_(self.parameter)
