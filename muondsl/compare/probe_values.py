"""The numbers at which stages are evaluated: hypers, shapes, steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from muondsl.ir.scalar import Symbol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from muondsl.check import CheckedSpec, typed

Hypers = dict[str, float | tuple[float, ...]]

SHAPES = ((768, 3072), (3072, 768), (768, 768))
"""Those of GPT-2's matrices, rows × columns."""

NO_VALUE = (ArithmeticError, ValueError)
"""What is raised where a scalar has no value, such as a quotient by zero."""

LATE = 1_000_000
"""A step so late that nothing depends on the first ones."""

STAND_IN = 0.1
"""In the place of a hyper that is 0 by default: a decay of 0 shows nothing of the rule."""


def default_hypers(spec: CheckedSpec, *, is_otherwise: bool = False) -> Hypers:
    """The defaults of the groups of one route, with a scale of one."""
    overrides = dict(spec.overrides) if is_otherwise else {}
    return {"scale": 1.0, **{each.name: _number(overrides.get(each.name, each.default)) for each in spec.hypers}}


def _number(default: str | tuple[str, ...]) -> float | tuple[float, ...]:
    return float(default) if isinstance(default, str) else tuple(float(each) for each in default)


def without_zeros(hypers: Hypers, spec: CheckedSpec) -> Hypers:
    """The hypers, those that are 0 at the stand-in if they may be."""
    ranges: dict[str, typed.Interval] = {each.name: each.interval for each in spec.hypers}
    return {name: STAND_IN if value == 0 and STAND_IN in ranges[name] else value for name, value in hypers.items()}


def symbol_values(
    hypers: Mapping[str, float | tuple[float, ...]], shape: tuple[int, int], step: int
) -> dict[Symbol, float]:
    """What the symbols of scalars stand for."""
    rows, cols = shape
    values: dict[Symbol, float] = {
        Symbol("rows", "shape"): rows,
        Symbol("cols", "shape"): cols,
        Symbol("numel", "shape"): rows * cols,
        Symbol("step", "step"): step,
    }
    for name, value in hypers.items():
        if isinstance(value, tuple):
            values |= {Symbol(name, "hyper", index): item for index, item in enumerate(value)}
        else:
            values[Symbol(name, "hyper")] = value
    return values


def replaced(hypers: Hypers, symbol: Symbol, value: float) -> Hypers:
    """The hypers with another value for one of them, or for one number of a tuple."""
    old = hypers[symbol.name]
    if symbol.index is None or not isinstance(old, tuple):
        return {**hypers, symbol.name: value}
    return {**hypers, symbol.name: (*old[: symbol.index], value, *old[symbol.index + 1 :])}
