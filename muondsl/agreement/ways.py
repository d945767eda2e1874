"""The ways in which a spec is run, with the error that each may have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch

if TYPE_CHECKING:
    from muondsl.ir.types import Format
    from muondsl.optimize import Numerics


@dataclass(frozen=True)
class Way:
    """How a spec is run: numerics, number format of `in` blocks, format of the parameters, and by what."""

    numerics: Numerics
    precision: Format | None
    dtype: torch.dtype
    backend: Literal["torch", "triton"] = "torch"

    @property
    def name(self) -> str:
        return f"{self.backend} {self.numerics} {self.precision or 'as written'}"

    @property
    def bound(self) -> float:
        """The error that it may always have, against the oracle."""
        if self.dtype.itemsize == 2:
            return 2 * torch.finfo(self.dtype).eps
        return {"fp64": 1e-10, "fp32": 1e-5}.get(self.precision or "", 1e-2)


WAYS = (
    Way("faithful", "fp64", torch.float64),
    Way("fast", "fp64", torch.float64),
    Way("faithful", "fp32", torch.float32),
    Way("fast", "fp32", torch.float32),
    Way("faithful", None, torch.float32),
    Way("fast", None, torch.float32),
    Way("fast", "fp32", torch.bfloat16),
    Way("fast", "fp32", torch.float16),
)

INTERPRETED = (
    Way("faithful", "fp32", torch.float32, "triton"),
    Way("fast", "fp32", torch.float32, "triton"),
    Way("faithful", None, torch.float32, "triton"),
    Way("fast", None, torch.float32, "triton"),
    Way("fast", "fp32", torch.bfloat16, "triton"),
)
"""Kernels as they are generated, in Triton's interpreter."""

MARGIN, DRAWS = 4, 16
"""Where the algorithm itself magnifies rounding more than that, a path may have `MARGIN` times the error of the oracle
with rounding noise, of which there are as many draws as explain the path's error, and at most `DRAWS`.

The interpreter cuts bf16 off where hardware rounds to nearest, so that a stored number is up to one unit in its last
place too small. Its noise is that of the program as it is stored, with one draw for each intermediate.
"""
