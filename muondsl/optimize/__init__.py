"""Tensor program to tensor program: one pass a file, one order."""

from muondsl.optimize.order import Numerics, optimize

__all__ = ["Numerics", "optimize"]
