"""Hypers, their defaults and ranges; defaults for `otherwise`; entries of checkpoints."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from muondsl.check import typed
from muondsl.check.expressions import Expressions
from muondsl.check.report import Abandoned, Report
from muondsl.check.scope import Scope
from muondsl.check.values import Value, describe, is_scalar
from muondsl.diagnostics import errors_names, errors_routes, errors_rules, errors_spec
from muondsl.ir import scalar
from muondsl.parse import ast

if TYPE_CHECKING:
    from muondsl.check.modules import Modules


UNKNOWN = ""
"""The default of a hyper where what is written has an error."""


def hypers_of(modules: Modules, report: Report) -> list[ast.Hyper]:
    """The hypers in force: those of the oldest ancestor first, each as the youngest file declares it, in the range of
    the youngest that gives one.
    """
    chosen: dict[str, ast.Hyper] = {}
    for file in reversed(modules.chain):
        here: dict[str, ast.Hyper] = {}
        for item in file.items:
            if isinstance(item, ast.Hyper):
                if first := here.get(item.name):
                    place = first.span.word(item.name)
                    report.add(errors_names.DuplicateName(item.span.word(item.name), item.name, place))
                here[item.name] = item
                inherited = chosen[item.name].interval if item.name in chosen else None
                chosen[item.name] = replace(item, interval=item.interval or inherited)
    return list(chosen.values())


def check_hyper(node: ast.Hyper, report: Report, around: typed.Interval = typed.EVERYWHERE) -> typed.Hyper:
    """The hyper with its range, or `around` where it has none. After an error its default may be UNKNOWN."""
    try:
        interval = _interval(node.interval, report) if node.interval else around
    except Abandoned:
        interval = typed.EVERYWHERE
    default: str | tuple[str, ...] = UNKNOWN
    try:
        default = _default(node, report)
        values = default if isinstance(default, tuple) else (default,)
        if any(float(value) not in interval for value in values):
            shown = default if isinstance(default, str) else f"({', '.join(default)})"
            report.add(errors_spec.DefaultOutsideRange(node.default.span, node.name, shown, str(interval)))
    except Abandoned:
        pass
    if node.name == "lr" and isinstance(default, tuple):
        found = f"a list of {len(default)} items"
        report.add(errors_spec.BadHyperDefault(node.default.span, node.name, found, "a number"))
        default = UNKNOWN
    return typed.Hyper(node.name, default, interval, node.span.word(node.name))


def _default(node: ast.Hyper, report: Report) -> str | tuple[str, ...]:
    value = Expressions(Scope(), report).value(node.default)
    if isinstance(value, tuple) and value:
        return tuple(_literal(item, node, report) for item in value)
    return _literal(value, node, report)


def _literal(value: Value, node: ast.Hyper, report: Report) -> str:
    if not is_scalar(value) or scalar.is_condition(value) or not scalar.is_constant(value):
        report.abandon(errors_spec.BadHyperDefault(node.default.span, node.name, describe(value)))
    return value.text if isinstance(value, scalar.Number) else repr(scalar.evaluate(value, {}))


def _interval(node: ast.Interval, report: Report) -> typed.Interval:
    lower, upper = _end(node.lower, report), _end(node.upper, report)
    closed = (node.lower_closed and math.isfinite(lower), node.upper_closed and math.isfinite(upper))
    interval = typed.Interval(lower, upper, *closed)
    if lower > upper or (lower == upper and not all(closed)):
        report.abandon(errors_spec.EmptyRange(node.span, str(interval)))
    return interval


def _end(node: ast.Expression, report: Report) -> float:
    match node:
        case ast.Name("inf"):
            return math.inf
        case ast.Unary("-", ast.Name("inf")):
            return -math.inf
        case _:
            return float(Expressions(Scope(), report).constant(node, "an end of a range"))


def check_overrides(
    entries: tuple[ast.Entry, ...], readable: set[str], hypers: list[typed.Hyper], report: Report
) -> tuple[tuple[str, str | tuple[str, ...]], ...]:
    """The defaults that `otherwise … with` gives to hypers for its own parameters."""
    known = {hyper.name: hyper for hyper in hypers}
    done: dict[str, str | tuple[str, ...]] = {}
    for entry in entries:
        place = entry.span.word(entry.name)
        if entry.name not in readable or entry.name not in known:
            report.add(errors_routes.UnknownOverride(place, entry.name, tuple(sorted(readable & set(known)))))
        elif entry.name in done:
            report.add(errors_rules.DuplicateArgument(place, entry.name))
        else:
            done[entry.name] = _override(entry, known[entry.name], report)
    return tuple(done.items())


def _override(entry: ast.Entry, hyper: typed.Hyper, report: Report) -> str | tuple[str, ...]:
    failures = report.failures
    default = check_hyper(ast.Hyper(entry.name, entry.value, None, span=entry.span), report, hyper.interval).default
    if report.failures == failures and _length(default) != _length(hyper.default):
        needed = f"a tuple of {len(hyper.default)} numbers" if isinstance(hyper.default, tuple) else "a number"
        found = f"a list of {len(default)} items" if isinstance(default, tuple) else "a scalar"
        report.add(errors_spec.BadHyperDefault(entry.value.span, entry.name, found, needed))
    return default


def _length(default: str | tuple[str, ...]) -> int | None:
    return len(default) if isinstance(default, tuple) else None


def check_checkpoint(node: ast.Checkpoint, hypers: list[typed.Hyper], report: Report) -> typed.Checkpoint:
    entries: dict[str, object] = {}
    for entry in node.entries:
        if entry.name in entries:
            report.add(errors_rules.DuplicateArgument(entry.span.word(entry.name), entry.name))
        is_hyper = any(hyper.name == entry.name for hyper in hypers)
        if is_hyper or entry.name in ("route", "params", "fingerprint"):
            reason = "a hyper, which is loaded" if is_hyper else "muondsl's own"
            report.add(errors_routes.BadCheckpointEntry(entry.span.word(entry.name), entry.name, reason))
        try:
            entries[entry.name] = _plain(entry.value, entry, report)
        except Abandoned:
            continue
    return typed.Checkpoint(node.system, tuple(entries.items()))


def _plain(node: ast.Expression, entry: ast.Entry, report: Report) -> object:
    """The Python value that stands in a parameter group."""
    match node:
        case ast.Name("none"):
            return None
        case ast.Text(value):
            return value
        case ast.Tuple(items) | ast.List(items):
            return tuple(_plain(item, entry, report) for item in items)
    number = Expressions(Scope(), report).value(node)
    if not is_scalar(number) or not scalar.is_constant(number):
        reason = "expected numbers, strings, `true`, `false` or `none`"
        report.abandon(errors_routes.BadCheckpointEntry(entry.value.span, entry.name, reason))
    return scalar.evaluate(number, {})
