"""What is read from a binary, the same for every kind of target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from muondsl.aot.accesses import Access


@dataclass(frozen=True, slots=True)
class Resources:
    """`registers` a thread; `spills` in bytes a thread; `shared` bytes a block, static and asked for at the launch.

    `scalar_spills` counts AMD's scalar registers that lie in lanes of vector registers: it touches no memory.
    """

    registers: int
    spills: int
    shared: int
    scalar_spills: int = 0


@dataclass(frozen=True, slots=True)
class Instructions:
    """`matrix` and `copies` (asynchronous ones, into shared memory or out of it) count instructions by their name."""

    matrix: Mapping[str, int]
    copies: Mapping[str, int]
    accesses: tuple[Access, ...]
