"""The factor between two states whose recurrences are linear: m ← a·m + b·g and n ← a·n + c·g have n = (c/b)·m.

That holds while a, b and c stay what they are. Where the factor is one at every moment, they need not.
"""

from __future__ import annotations

from math import isclose

from muondsl.conversion.transfer import Choices, Refusal
from muondsl.conversion.unit import UNCHANGED, Factor, Unit


def factor_between(source: Unit, target: Unit, scheduled: frozenset[str], choices: Choices) -> Factor | Refusal:
    """The factor, or why there is none. `scheduled` are hypers that training changes; `choices.momentum` says what a
    was all the while, for averages and sums.
    """
    momentum = choices.momentum
    if not source.keeps_as(target) and (momentum is None or not isclose(target.keep, momentum)):
        return Refusal(
            f"the checkpoint's is m ← {source}, the target's is m ← {target}",
            "give the target's hypers the values that make them equal, with `--hyper NAME=VALUE`",
        )
    if not isclose(source.pull * target.take, target.pull * source.take, rel_tol=1e-9, abs_tol=1e-15):
        return Refusal("what it takes in of the parameter itself, beside the gradient, is not the same", "")
    if momentum is not None:
        return _given(source, target, momentum)
    if isclose(source.take, target.take, rel_tol=1e-12):
        return UNCHANGED
    if not source.take:
        return Refusal("it takes nothing of the gradient in, so that no factor makes another of it", "")
    value = target.take / source.take
    if source.depends_on_shape or target.depends_on_shape:
        return Refusal("what it takes in depends on the shape of the parameter", "")
    if reason := _change(source, scheduled) or _change(target, frozenset()):
        return Refusal(
            f"{reason} while it was filled, and the factor between averages and sums is 1/(1 − μ) at constant μ alone",
            "if μ was constant for long enough before this checkpoint, say so: `--momentum VALUE`",
        )
    return Factor(value, _words(source, target, f"{source.keep:.6g}"))


def _given(source: Unit, target: Unit, momentum: float) -> Factor | Refusal:
    for unit in (source, target):
        if not unit.is_average and not unit.is_sum:
            return Refusal(f"m ← {unit} is neither an average nor a sum, so that μ does not say its factor", "")
    if source.is_average == target.is_average:
        return UNCHANGED
    value = 1 / (1 - momentum) if source.is_average else 1 - momentum
    return Factor(value, _words(source, target, f"{momentum:g}"))


def _change(unit: Unit, scheduled: frozenset[str]) -> str:
    """How it may have changed; empty where it did not."""
    if unit.depends_on_step:
        return "it is scheduled by `step`, and changed"
    changed = sorted(symbol.name for symbol in unit.reads if symbol.kind == "hyper" and symbol.name in scheduled)
    return f"training changed `{changed[0]}`" if changed else ""


def _words(source: Unit, target: Unit, keep: str) -> str:
    if source.is_average and target.is_sum:
        return f"1/(1 − {keep})"
    if source.is_sum and target.is_average:
        return f"1 − {keep}"
    return f"{target.take:.6g}/{source.take:.6g}"
