"""Whether what was asked for can be meant: names that both ends know, and numbers in their ranges."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from muondsl.conversion.finding import ConversionError, Finding
from muondsl.conversion.layout import Layout
from muondsl.conversion.transfer import Choices
from muondsl.diagnostics.diagnostic import closest
from muondsl.runtime.precision import MASTER


def check_choices(choices: Choices, source: Layout, target: Layout) -> None:
    """Raises ConversionError."""
    findings = list(_numbers(choices))
    theirs, ours = _states(source), _states(target)
    masters = {MASTER.name} if source.is_generated else set()
    findings += _unknown("--drop", choices.drop, theirs | masters | source.meaning.programs.keys())
    findings += _unknown("--fresh", choices.fresh, ours | target.meaning.programs.keys())
    findings += _unknown("--as-is", choices.as_is, ours)
    hypers = {name for route in target.meaning.programs for name in target.hypers(route)}
    findings += _unknown("--hyper", choices.hypers, hypers)
    if findings:
        raise ConversionError(findings)


def _numbers(choices: Choices) -> Iterator[Finding]:
    if choices.momentum is not None and not 0 <= choices.momentum < 1:
        yield Finding("--momentum", f"it should be in [0, 1) but is {choices.momentum:g}")
    if choices.step is not None and choices.step < 1:
        yield Finding("--step", f"it should be 1 at least but is {choices.step}")


def _states(layout: Layout) -> set[str]:
    return {state.name for route in layout.meaning.programs for state in layout.meaning.states(route)}


def _unknown(option: str, names: Iterable[str], known: Iterable[str]) -> Iterator[Finding]:
    for name in sorted(set(names) - set(known)):
        hint = closest(name, known)
        help = f"did you mean `{hint}`?" if hint else f"there are {', '.join(sorted(known))}"
        yield Finding(option, f"there is no `{name}`", help)
