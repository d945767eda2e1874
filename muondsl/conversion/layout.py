"""What a layout is: the way in which one system writes the states of all parameters into one file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from muondsl.conversion.checkpoint import Checkpoint
from muondsl.conversion.meaning import Meaning


@dataclass(frozen=True, eq=False)
class Written:
    """What is saved, and where the states of each parameter lie in it, in the order of groups and members."""

    saved: dict[str, Any]
    places: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, eq=False)
class Layout(ABC):
    """`meaning` says what states there are, and in which shapes."""

    meaning: Meaning

    has_any_entry: ClassVar[bool] = True
    """Whether a group may hold what neither system knows, such as a scheduler's `initial_lr`."""

    is_generated: ClassVar[bool] = False
    """Whether a generated class reads it, which sees matrices in tensors of any dimensions and may keep masters."""

    @abstractmethod
    def hypers(self, route: str) -> Mapping[str, object]:
        """What a group of the route holds and a user may change, with the values of a new group."""

    def fixed(self, route: str) -> Mapping[str, object]:
        """What is written beside, whatever the checkpoint said."""
        return {}

    @abstractmethod
    def read(self, saved: object) -> Checkpoint:
        """Raises ConversionError for anything but a checkpoint of this layout with states of this meaning."""

    @abstractmethod
    def write(self, checkpoint: Checkpoint) -> Written:
        """Raises ConversionError for what this layout cannot hold."""
