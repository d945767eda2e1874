"""Words that specs share with the users of generated classes: roles of parameters, steps of views. Needs no torch."""

from __future__ import annotations

from collections.abc import Sequence

ROLES = ("embedding", "head", "matrix", "conv", "expert", "norm", "bias", "vector")
VIEW_STEPS = ("flatten", "batch", "split", "heads", "transpose")


def wrong_numbers(step: str, numbers: Sequence[int]) -> str | None:
    """What is wrong with the numbers of a step of a view."""
    if step in ("split", "heads"):
        if not numbers or any(number < 1 for number in numbers):
            return f"{step} needs numbers of blocks or rows, such as {step}(3)"
        if step == "heads" and len(numbers) > 1:
            return "heads takes one number, that of the heads"
    elif numbers:
        return f"{step} takes no numbers"
    return None
