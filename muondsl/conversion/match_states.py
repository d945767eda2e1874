"""The states of one side in, where those of the other come from out: by name, then by what is left, then by meaning."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from math import isinf

from muondsl.conversion.commutation import disagreements
from muondsl.conversion.factor_between import factor_between
from muondsl.conversion.finding import Finding
from muondsl.conversion.program_to_unit import program_to_unit
from muondsl.conversion.transfer import Choices, Refusal, Side, Transfer
from muondsl.conversion.unit import UNCHANGED, Unit

WHOLE = "rows, cols"


def match_states(
    source: Side,
    target: Side,
    held: frozenset[str],
    place: str,
    scheduled: frozenset[str],
    choices: Choices,
    step: int | None,
) -> tuple[tuple[Transfer, ...], tuple[Finding, ...]]:
    """A transfer for each state of the target, and what forbids the conversion.

    `held` are the states that the checkpoint has, `scheduled` the hypers that training changes, `step` is the number of
    steps taken where something depends on it.
    """
    begins_anew = source.program.route in choices.fresh
    kept = frozenset() if begins_anew else held - choices.fresh
    paired = [Transfer(state.name, None if begins_anew else _named(state.name, kept)) for state in target.states]
    paired = _pair_rest(paired, source, target, kept, choices)
    findings = list(_unmatched(paired, source, target, held, place, choices))
    transfers = []
    for pair in paired:
        found = pair if pair.source is None else _measured(pair, source, target, scheduled, choices, step)
        if isinstance(found, Refusal):
            findings.append(Finding(place, f"`{pair.target}`: {found.problem}", found.help or _ways(pair.target)))
        else:
            transfers.append(found)
    if not findings:
        wrong = disagreements(source, target, transfers, step)
        findings += [Finding(place, f"`{name}`: {_difference(each)}", _ways(name)) for name, each in wrong.items()]
    return tuple(transfers), tuple(findings)


def _named(name: str, kept: frozenset[str]) -> str | None:
    return name if name in kept else None


def _pair_rest(
    paired: list[Transfer], source: Side, target: Side, kept: frozenset[str], choices: Choices
) -> list[Transfer]:
    """One linear state that is left on each side is the same under two names."""
    wanting = [
        each
        for each in paired
        if each.source is None and each.target not in choices.fresh and _is_linear(target, each.target)
    ]
    taken = {each.source for each in paired}
    left = [name for name in sorted(kept - taken) if _is_linear(source, name)]
    if len(wanting) != 1 or len(left) != 1 or source.program.route in choices.fresh:
        return paired
    return [replace(each, source=left[0]) if each is wanting[0] else each for each in paired]


def _unmatched(
    paired: Iterable[Transfer], source: Side, target: Side, held: frozenset[str], place: str, choices: Choices
) -> Iterator[Finding]:
    """States that would be lost, and states that are missing, where nobody said that they may be."""
    route = source.program.route
    used = {each.source for each in paired}
    for name in sorted(held - used - choices.drop - choices.fresh):
        if route not in choices.drop | choices.fresh:
            problem = f"{target.name} has no counterpart of the state `{name}`"
            yield Finding(place, problem, f"`--drop {name}` leaves it behind")
    anew = [each.target for each in paired if each.source is None]
    for name in anew:
        state = target.state(name)
        if name not in choices.fresh and route not in choices.fresh:
            problem = f"{target.name} keeps a state `{name}`, which the checkpoint does not hold"
            yield Finding(place, problem, f"`--fresh {name}` begins it anew, `--fresh {route}` all of the route")
        elif len(anew) < len(target.states) and isinstance(state.initial, str):
            problem = (
                f"`{name}` begins as the first {state.initial}, and so cannot begin anew beside states that do not"
            )
            yield Finding(place, problem, f"`--fresh {route}` begins all of them anew")
        elif len(anew) < len(target.states) and target.counts_steps:
            problem = f"`{name}` cannot begin anew alone: {target.name} counts the steps of all states of a parameter"
            yield Finding(place, problem, f"`--fresh {route}` begins all of them anew")


def _measured(
    pair: Transfer, source: Side, target: Side, scheduled: frozenset[str], choices: Choices, step: int | None
) -> Transfer | Refusal:
    """The transfer with its factor."""
    assert pair.source is not None
    shapes = source.state(pair.source).shape, target.state(pair.target).shape
    if shapes[0] != shapes[1]:
        return Refusal(f"the checkpoint's is [{shapes[0]}], the target's is [{shapes[1]}]", "")
    if pair.target in choices.as_is:
        return replace(pair, is_given=True)
    units = _unit(source, pair.source, step), _unit(target, pair.target, step)
    if units[0] is None or units[1] is None:
        return pair
    if source.program.route != "matrix":
        choices = replace(choices, momentum=None)
    factor = factor_between(units[0], units[1], scheduled, choices)
    if isinstance(factor, Refusal):
        return factor
    is_plain = factor == UNCHANGED and units[0].keeps_as(units[1])
    return replace(pair, factor=factor, is_given=choices.momentum is not None and not is_plain)


def _is_linear(side: Side, name: str) -> bool:
    return side.state(name).shape == WHOLE and _unit(side, name, None) is not None


def _unit(side: Side, name: str, step: int | None) -> Unit | None:
    return program_to_unit(side.program, name, side.hypers, max(1, step or 1))


def _difference(distance: float) -> str:
    if isinf(distance):
        return "it begins as something else than the checkpoint's"
    return f"it is not what the checkpoint holds under that name: after a step the two differ by {distance:.1%}"


def _ways(name: str) -> str:
    return f"`--fresh {name}` begins it anew; `--as-is {name}` takes over what is there all the same"
