"""What is known of one kernel on one target, as read from its binary."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from muondsl.aot.accesses import Widths
from muondsl.aot.occupancy import Occupancy


@dataclass(frozen=True, slots=True)
class Inspection:
    """`variant` holds the kernel's constants, which tell its binaries apart; `launches` counts those of one step.

    `registers` is of a thread (on AMD vector registers, accumulators among them), `spills` in bytes a thread, `shared`
    in bytes a block. `loads` and `stores` are in instructions for each rank and width; `copies` go to or from shared
    memory without passing through registers.
    """

    spec: str
    kernel: str
    variant: str
    title: str
    target: str
    warps: int
    stages: int
    registers: int
    spills: int
    scalar_spills: int
    shared: int
    tensor_memory: int
    occupancy: Occupancy
    matrix_instructions: Mapping[str, int]
    copies: Mapping[str, int]
    loads: Widths
    stores: Widths
    launches: int
    matrices: int

    @property
    def load_width(self) -> int | None:
        """The least width in bytes at which the kernel loads tensors: None where only copies and scalars do."""
        return self.loads.narrowest

    @property
    def store_width(self) -> int | None:
        return self.stores.narrowest
