"""What a stage makes of the parameter: decays before the step, projections behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from muondsl.compare.fact import Fact
from muondsl.compare.isolate import EXPORTED, Isolated
from muondsl.compare.linear_form import linear_forms
from muondsl.compare.monomial import Monomial, in_order, letter, monomial
from muondsl.compare.probe_values import SHAPES, symbol_values
from muondsl.compare.reads import inputs_read, symbols_read
from muondsl.ir import scalar as sc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from muondsl.compare.probe_values import Hypers

NOUNS = {
    "parameter": "the parameter",
    "update": "the update",
    "gradient": "the gradient",
    "previous": "the parameter as the step found it",
}


def is_factor(isolated: Isolated) -> bool:
    """Whether the stage multiplies the parameter, all elements alike, or leaves it."""
    form = linear_forms(isolated.program)["parameter"]
    return form is not None and set(form) == {"parameter"}


def decay_facts(isolated: Isolated, hypers: Hypers) -> Iterator[Fact]:
    """Of a stage that may shrink the parameter."""
    form = linear_forms(isolated.program)["parameter"]
    symbols = symbols_read(isolated, "parameter")
    if form is not None and set(form) == {"parameter"}:
        yield from _proportional(form["parameter"], hypers, symbols)
        return
    from muondsl.compare.measured_decay import measured_rate

    rate = measured_rate(isolated, hypers)
    read = [
        NOUNS.get(name, name.replace(EXPORTED, "an earlier stage's ")) for name in inputs_read(isolated, "parameter")
    ]
    yield Fact("what the parameter becomes depends on", ", ".join(sorted(read)))
    if rate is None:
        return
    yield Fact("where it shrinks", rate.where)
    yield from _rate(rate.at, hypers, symbols)


def _proportional(factor: sc.Scalar, hypers: Hypers, symbols: list[sc.Symbol]) -> Iterator[Fact]:
    def rate(values: Hypers) -> float:
        return 1 - float(sc.evaluate(factor, symbol_values(values, SHAPES[0], 1)))

    yield Fact("where it shrinks", "everywhere")
    yield from _rate(rate, hypers, symbols)


def _rate(rate: Callable[[Hypers], float], hypers: Hypers, symbols: list[sc.Symbol]) -> Iterator[Fact]:
    """The part of the parameter that a step takes away, in hypers where it is a product of them."""
    found = monomial(rate, hypers, symbols)
    if found is None and rate(hypers) < 0:
        negative = monomial(lambda values: -rate(values), hypers, symbols)
        found = Monomial(-negative.factor, negative.powers) if negative else None
    names = ", ".join(
        f"{letter(str(each))} = {_value(hypers, each):g}" for each in in_order(symbols) if each.kind == "hyper"
    )
    words = f"{found} of it" if found else f"{rate(hypers):.6g} of it" + (f", at {names}" if names else "")
    yield Fact("part taken away in a step", words)


def _value(hypers: Hypers, symbol: sc.Symbol) -> float:
    value = hypers[symbol.name]
    return value[symbol.index or 0] if isinstance(value, tuple) else value
