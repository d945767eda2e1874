"""In which form an iteration may run: what number formats bear, and where it saves products."""

from __future__ import annotations

from muondsl.ir.types import Format
from muondsl.schedule.launches import GramForm

GAIN = 1.5
"""Dense, the form with one restart breaks even at long = 1.5 short; with symmetric halves it gains from there on."""

GAIN_WITH_RESTARTS = 2.0
"""Every further restart costs 3 (long − short) short²; with one after every second step the form gains from here on."""

SHORTEST = 512
"""Below this side 16-bit rounding of the Gram matrix shows in the smallest singular values."""


def choose_form(fixed: Format | None, steps: int) -> GramForm | None:
    """The Gram form of an iteration of `steps` steps in a number format; None where x is iterated itself.

    In bf16 the error stays that of the direct form only if x is formed anew after every second step. In fp16, which has
    eight times the digits, every third is enough. In fp32, whose rounding is held to 1e-5, a matrix whose singular
    values fall like 1/i loses 5e-4 without restarts and nothing with one after every second step.
    """
    if steps < 2:
        return None
    match fixed:
        case "bf16":
            return GramForm(GAIN_WITH_RESTARTS, tuple(range(2, steps, 2)), SHORTEST)
        case "fp16":
            return GramForm(GAIN, tuple(range(3, steps, 3)), SHORTEST)
        case "fp32":
            return GramForm(GAIN_WITH_RESTARTS, tuple(range(2, steps, 2)), 0)
        case _:
            return None
