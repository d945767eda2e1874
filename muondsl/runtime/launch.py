"""One launch of a kernel, with everything that it needs: to be run, compiled for another target, or counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Launch:
    """`arguments` are the kernel's, in order, without its constants; `grid` is the number of programs.

    Integer arguments and tensors' addresses are known to be multiples of 16 exactly where Triton would find them so.
    `title` tells a reader what the launch computes (`s ← x xᵀ`); `matrices` is the number of matrices it serves.
    """

    kernel: Any
    grid: int
    arguments: tuple[Tensor | int | float, ...]
    constants: Mapping[str, Any]
    warps: int = 4
    stages: int = 2
    title: str = ""
    matrices: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return str(self.kernel.__name__)

    def run(self) -> None:
        """Launches the kernel on the current stream of the arguments' device. Contraction of a·b + c is always allowed:
        it is set here because Triton's default for it changes between versions.
        """
        self.kernel[(self.grid,)](
            *self.arguments,
            **self.constants,
            num_warps=self.warps,
            num_stages=self.stages,
            enable_fp_fusion=True,
            **self.options,
        )
