"""Triton where it can be imported, and what stands for it elsewhere: kernels that say what is missing when launched."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

try:
    import triton
    from triton import language
except ImportError:
    triton = language = None

HAS_TRITON = triton is not None

tl: Any = language
"""`triton.language`, under the name by which kernels know it."""


class MissingKernel:
    """A kernel where Triton is not installed. Launching it raises RuntimeError."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.__name__ = function.__name__
        self.__doc__ = function.__doc__

    def __getitem__(self, grid: object) -> Callable[..., None]:
        raise RuntimeError(f"{self.__name__} needs Triton, which is not installed: pip install triton")


jit: Callable[[Callable[..., Any]], Any] = triton.jit if HAS_TRITON else MissingKernel
"""`triton.jit`, or what makes a `MissingKernel`."""
