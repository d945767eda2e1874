"""Tensor program to tensor program: one pass a file, one order."""

from muondsl.optimize.order import NUMERICS, Numerics, optimize, optimize_for_gpu, optimize_for_torch

__all__ = ["NUMERICS", "Numerics", "optimize", "optimize_for_gpu", "optimize_for_torch"]
