"""What the tests of the family know of a spec: the references that it has to follow, and the original's defaults."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor

Step = Callable[..., Tensor]
"""A function of `tests/reference`, which returns the new parameter. It is given those of a spec's hypers that it takes
by name, and the number of the step if it takes a `step`."""

Shape = tuple[int, ...]
HyperValue = float | tuple[float, ...]

ALL_BUT_HUGE = ("ordinary", "uneven", "tiny")


@dataclass(frozen=True)
class Looser:
    """A bound in the place of the common one, where arithmetic of this many digits cannot do better. Empty kinds or
    shapes stand for all of them.
    """

    bound: float
    reason: str
    kinds: tuple[str, ...] = ()
    shapes: tuple[Shape, ...] = ()

    def covers(self, kind: str, shape: Shape) -> bool:
        return (not self.kinds or kind in self.kinds) and (not self.shapes or shape in self.shapes)


@dataclass(frozen=True)
class Entry:
    """A spec with its references, one for each route that it has.

    `kinds` are the gradients on which spec and reference are the same, `hypers` what they get where that is not what
    all specs get, `names` the reference's name of a hyper where it has another one. `defaults` are those of the
    original, `other_defaults` those that differ for what is no matrix. `single` and `double` are exceptions from the
    bounds of fp32 and fp64. `filters` are those of convolutions that the spec
    sees as matrices, and `matrices` says which of embeddings and heads are matrices like others.
    """

    spec: str
    matrix: Step | None
    other: Step | None
    defaults: Mapping[str, HyperValue]
    other_defaults: Mapping[str, HyperValue] = field(default_factory=dict)
    kinds: tuple[str, ...] = ALL_BUT_HUGE
    hypers: Mapping[str, HyperValue] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    single: tuple[Looser, ...] = ()
    double: tuple[Looser, ...] = ()
    filters: tuple[Shape, ...] = ()
    matrices: tuple[Literal["embedding", "head"], ...] = ()

    def reference(self, route: str) -> Step | None:
        return self.matrix if route == "matrix" else self.other
