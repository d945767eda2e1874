"""Decays that are not the same multiple of every element, measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from muondsl.compare.respond import TALL, gaussian, to_responder

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from muondsl.compare.isolate import Isolated
    from muondsl.compare.probe_values import Hypers

TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True)
class Rate:
    """The part of the parameter that is taken away where any is, as a function of hypers, and where that is."""

    where: str
    at: Callable[[Hypers], float]


def measured_rate(isolated: Isolated, hypers: Hypers) -> Rate | None:
    """The rate, if it is zero or one number by the signs of update and parameter alone."""
    update, parameter = gaussian(TALL, 1), gaussian(TALL, 2)
    update[0] = 0.0
    groups = {
        "have the same sign": update * parameter > 0,
        "have opposite signs": update * parameter < 0,
        "do not both have one": update * parameter == 0,
    }

    def rates(values: Hypers) -> Tensor:
        return 1 - to_responder(isolated, values).run(update, parameter)["parameter"] / parameter

    found = rates(hypers)
    present = [words for words, mask in groups.items() if found[mask].abs().max() > TOLERANCE]
    if not present or any(not _is_one_number(found[mask]) for mask in groups.values()):
        return None
    sizes = {words: found[groups[words]][0].item() for words in present}
    if max(sizes.values()) - min(sizes.values()) > TOLERANCE:
        return None
    mask = groups[present[0]]
    return Rate(_where(present), lambda values: rates(values)[mask][0].item())


def _is_one_number(x: Tensor) -> bool:
    return torch.allclose(x, x.flatten()[0], rtol=1e-7, atol=1e-12)


def _where(present: list[str]) -> str:
    return "everywhere" if len(present) == 3 else "where update and parameter " + " or ".join(present)
