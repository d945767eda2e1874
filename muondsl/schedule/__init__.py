"""Tensor program to plan: kernels, buffers, launches."""

from muondsl.schedule.ir_to_plan import schedule
from muondsl.schedule.plan import Plan

__all__ = ["Plan", "schedule"]
