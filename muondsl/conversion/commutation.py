"""Whether it is the same to convert and then step, and to step and then convert: what makes a conversion right.

Where that holds in every step, and at the first, the converted states are those that the target itself would hold, had
it seen the same gradients and parameters.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from muondsl.conversion.program_to_unit import states_of
from muondsl.conversion.transfer import Side, Transfer
from muondsl.ir.interpreter import initial_state, interpret

SHAPES = {"matrix": ((5, 3), (3, 5), (4, 4)), "otherwise": ((6,), (2, 3))}
SIZES = (1.0, 1e3)
"""Of gradients: eps acts on the small ones, bounds on the large ones."""

TOLERANCE = 1e-4
"""Far above what an eps in another place does, which is parts in a million, and below what another constant does."""

STEPS_BEFORE = 3


def disagreements(source: Side, target: Side, transfers: Iterable[Transfer], step: int | None) -> dict[str, float]:
    """Of the target's states those that differ, and by how much of their norm: `inf` where they begin differently.

    `step` is the number of steps taken, where it is known. Interpreted in float64, on small parameters.
    """
    checked = [transfer for transfer in transfers if transfer.source is not None and not transfer.is_given]
    if not checked:
        return {}
    found: dict[str, float] = {}
    for trial in _trials(source.program.route, max(STEPS_BEFORE, step or 0)):
        for name, distance in trial.distances(source, target, transfers, checked):
            found[name] = max(found.get(name, 0.0), distance)
    return found


@dataclass(frozen=True, eq=False)
class _Trial:
    """A parameter with the gradients of the last steps, and of the one to come."""

    parameter: Tensor
    gradients: tuple[Tensor, ...]
    last: int

    def distances(
        self, source: Side, target: Side, transfers: Iterable[Transfer], checked: list[Transfer]
    ) -> Iterator[tuple[str, float]]:
        ours = states_of(source.program, frozenset(state.name for state in source.states))
        theirs = states_of(target.program, frozenset(transfer.target for transfer in checked))
        held = initial_state(ours, self.parameter, self.gradients[0])
        begun = initial_state(target.program, self.parameter, self.gradients[0])
        for transfer in checked:
            if not torch.equal(transfer.factor.value * held[transfer.source or ""], begun[transfer.target]):
                yield transfer.target, float("inf")
        *before, last = self.gradients
        for step, gradient in enumerate(before, self.last + 1 - len(before)):
            held = interpret(ours, self.parameter, gradient, held, source.hypers, step)
        moved = {**begun, **_converted(held, transfers)}
        after = interpret(theirs, self.parameter, last, moved, target.hypers, self.last + 1)
        held = interpret(ours, self.parameter, last, held, source.hypers, self.last + 1)
        expected = _converted(held, checked)
        for name, value in expected.items():
            distance = float((after[name] - value).norm() / value.norm().clamp(min=1e-300))
            if not distance <= TOLERANCE:
                yield name, distance


def _converted(held: Mapping[str, Tensor], transfers: Iterable[Transfer]) -> dict[str, Tensor]:
    return {each.target: each.factor.value * held[each.source] for each in transfers if each.source is not None}


def _trials(route: str, last: int) -> Iterator[_Trial]:
    for shape in SHAPES[route]:
        generator = torch.Generator().manual_seed(sum(shape))
        for size in SIZES:
            tensors = torch.randn((STEPS_BEFORE + 2, *shape), generator=generator, dtype=torch.float64)
            yield _Trial(tensors[0], tuple(size * tensors[1:]), last)
