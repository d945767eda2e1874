"""Tensor program to plan: which work shares a kernel, which buffer holds each value, what a GPU launches."""

from muondsl.schedule.ir_to_plan import schedule, schedule_launches
from muondsl.schedule.launches import LaunchPlan
from muondsl.schedule.plan import Plan

__all__ = ["LaunchPlan", "Plan", "schedule", "schedule_launches"]
