"""One system's checkpoint in, another's out, with a report of all that was done to it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from muondsl.conversion.carry_entries import carry_entries, missing_entries_of
from muondsl.conversion.check_choices import check_choices
from muondsl.conversion.checkpoint import Checkpoint, Group, Member
from muondsl.conversion.finding import ConversionError, Finding
from muondsl.conversion.match_states import match_states
from muondsl.conversion.per_parameter import MAXIMIZE
from muondsl.conversion.program_to_unit import reads_step
from muondsl.conversion.report import Change, GroupReport, Report
from muondsl.conversion.state_dict import sizes_of
from muondsl.conversion.system import System, find_system
from muondsl.conversion.transfer import Choices, Side, Transfer
from muondsl.conversion.unit import UNCHANGED
from muondsl.runtime.precision import MASTER

Plan = tuple[tuple[Transfer, ...], tuple[Finding, ...]]


@dataclass(frozen=True, eq=False)
class Conversion:
    """What the target loads, and what was done to get it. `str` of the report is text."""

    checkpoint: dict[str, Any]
    report: Report


def convert(
    checkpoint: Mapping[str, Any],
    source: str | Path,
    target: str | Path,
    *,
    momentum: float | None = None,
    step: int | None = None,
    drop: Iterable[str] = (),
    fresh: Iterable[str] = (),
    as_is: Iterable[str] = (),
    hypers: Mapping[str, object] | None = None,
) -> Conversion:
    """A checkpoint of the optimizer `source`, as its state_dict yields it, made into one that `target` loads.

    Args:
        checkpoint: what `source` saved. It is not changed, and shares no memory with what comes back.
        source, target: `torch.optim.Muon`, `keras.optimizers.Muon`, `nanochat.MuonAdamW`, a spec (a path that ends in
            `.muon`, or text), or `nanochat:` before a spec that says what nanochat's buffers hold.
        momentum: the μ that held while the buffers were filled, where it changed.
        step: how many steps were taken, where the checkpoint does not count them.
        drop: states, or routes, that may be lost.
        fresh: states of the target, or routes, that begin anew.
        as_is: states that are taken over unchanged though they mean something else.
        hypers: values for entries of the target's groups, in place of those of the checkpoint.

    Raises ConversionError, with everything that forbids it, and SpecError for a spec with errors.
    """
    choices = Choices(momentum, step, frozenset(drop), frozenset(fresh), frozenset(as_is), dict(hypers or {}))
    return convert_between(checkpoint, find_system(source), find_system(target), choices)


def convert_between(checkpoint: object, source: System, target: System, choices: Choices) -> Conversion:
    """As `convert`. Raises ConversionError for whatever is not a checkpoint of `source`."""
    check_choices(choices, source.layout, target.layout)
    before = source.layout.read(checkpoint)
    if findings := [finding for system in (source, target) for finding in _beyond(system, before, choices)]:
        raise ConversionError(findings)
    done = [_Group(index, group, source, target, choices).converted() for index, group in enumerate(before.groups)]
    if findings := [finding for each in done for finding in each.findings]:
        raise ConversionError(findings)
    after = Checkpoint(tuple(each.group for each in done if each.group is not None))
    written = target.layout.write(after)
    places = iter(written.places)
    reports = tuple(each.report.placed(() if each.group is None else next(places)) for each in done)
    return Conversion(written.saved, Report(source.title, target.title, reports))


def _beyond(system: System, checkpoint: Checkpoint, choices: Choices) -> Iterator[Finding]:
    """What generated classes have alone: ascent, matrices seen in tensors of other dimensions, and masters."""
    if system.layout.is_generated:
        return
    for index, group in enumerate(checkpoint.groups):
        if group.route in choices.drop:
            continue
        if MAXIMIZE in group.entries:
            yield Finding(
                f"group {index} ({group.route})", f"its states are those of ascent, and {system.title} descends"
            )
        for member in group.members:
            if group.route == "matrix" and member.shape is not None and len(member.shape) != 2:
                problem = f"it is of {list(member.shape)}, and matrices of {system.title} have two dimensions"
                yield Finding(member.label, problem)
            if member.master is not None and MASTER.name not in choices.drop:
                problem = f"{system.title} has no place for its master in fp32"
                yield Finding(member.label, problem, f"`--drop {MASTER.name}` leaves it behind")


@dataclass(frozen=True, eq=False)
class _Done:
    """`group` is None where it was left behind."""

    group: Group | None
    report: GroupReport
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, eq=False)
class _Group:
    """A group on its way."""

    index: int
    group: Group
    source: System
    target: System
    choices: Choices

    @property
    def place(self) -> str:
        return f"group {self.index} ({self.group.route})"

    def converted(self) -> _Done:
        group, choices, target = self.group, self.choices, self.target.layout
        report = GroupReport(self.index, group.route, len(group.members))
        if group.route in choices.drop:
            return _Done(None, report)
        if group.route not in target.meaning.programs:
            problem = f"{self.target.title} takes no parameters of this route"
            return _Done(None, report, (Finding(self.place, problem, f"`--drop {group.route}` leaves them behind"),))
        entries = carry_entries(group, self.source.layout, target, choices.hypers)
        if findings := tuple(missing_entries_of(group, entries, self.source.layout, self.place)):
            return _Done(None, report, findings)
        members, changes, found = self._members(entries.all)
        after = Group(group.route, entries.all, tuple(members))
        return _Done(after, replace(report, entries=entries, changes=tuple(changes)), tuple(found))

    def _members(self, entries: Mapping[str, object]) -> tuple[list[Member], list[Change], list[Finding]]:
        members: list[Member] = []
        changes: list[Change] = []
        findings: list[Finding] = []
        try:
            sides = _side(self.source, self.group, self.group.entries), _side(self.target, self.group, entries)
            plans: dict[int | None, Plan] = {}
            depends_on_step = any(reads_step(side.program, side.states) for side in sides)
            needs_step = (depends_on_step or sides[1].counts_steps) and self.group.route not in self.choices.fresh
            for member in self.group.members:
                taken = self.choices.step if member.step is None else member.step
                if member.states and needs_step and taken is None:
                    findings.append(self._uncounted())
                    continue
                key = taken if depends_on_step else None
                if member.states and key not in plans:
                    plans[key] = self._plan(sides, member, key)
                transfers, found = plans[key] if member.states else ((), ())
                findings += found
                if not found:
                    new, wrong = _converted(self._with_master(member), transfers, sides[1], taken)
                    members.append(new)
                    findings += wrong
                    changes.append(_change(member, new, transfers, taken if sides[1].counts_steps else None))
        except (ArithmeticError, ValueError) as error:
            findings.append(Finding(self.place, f"no step can be taken from here: {error}"))
        return members, changes, findings

    def _with_master(self, member: Member) -> Member:
        if member.master is None or MASTER.name in self.choices.drop:
            return replace(member, master=None)
        return replace(member, master=member.master.clone())

    def _uncounted(self) -> Finding:
        problem = f"{self.target.title} counts steps, and the checkpoint does not"
        return Finding(self.place, problem, "`--step N` says how many were taken")

    def _plan(self, sides: tuple[Side, Side], member: Member, step: int | None) -> Plan:
        held = frozenset(member.states)
        return match_states(*sides, held, self.place, self.group.scheduled, self.choices, step)


def _side(system: System, group: Group, entries: Mapping[str, object]) -> Side:
    meaning, route = system.layout.meaning, group.route
    hypers = meaning.hypers(route, entries)
    counts = meaning.counts_steps(route)
    return Side(system.title, meaning.programs[route], meaning.states(route), counts, hypers)


def _converted(
    member: Member, transfers: tuple[Transfer, ...], side: Side, taken: int | None
) -> tuple[Member, tuple[Finding, ...]]:
    """The parameter with the target's states. Where all of them begin anew it has none, as before its first step."""
    if not member.states or all(each.source is None for each in transfers):
        return replace(member, states={}, step=None), ()
    states: dict[str, Tensor] = {}
    findings = []
    for transfer in transfers:
        if transfer.source is None and not _is_known(member, transfer, side):
            problem = f"`{transfer.target}` cannot begin anew: no state says what shape it has"
            return member, (Finding(member.label, problem, f"`--fresh {side.program.route}` begins all of them anew"),)
        value = _state(member, transfer, side)
        states[transfer.target] = value
        if not bool(torch.isfinite(value).all()):
            problem = f"`{transfer.target}` {transfer.factor} is too large for {value.dtype}"
            findings.append(Finding(member.label, problem))
    return replace(member, states=states, step=taken), tuple(findings)


def _is_known(member: Member, transfer: Transfer, side: Side) -> bool:
    """Whether the shape of a new state is. Those that are not full are as the matrices that a view sees."""
    if member.shape is None:
        return False
    return side.program.route != "matrix" or side.state(transfer.target).is_full or len(member.shape) == 2


def _state(member: Member, transfer: Transfer, side: Side) -> Tensor:
    if transfer.source is None:
        state = side.state(transfer.target)
        assert not isinstance(state.initial, str)
        assert member.shape is not None
        sizes = sizes_of(state, side.program.route, member.shape)
        return torch.full(sizes, state.initial, dtype=state.dtype or next(iter(member.states.values())).dtype)
    value = member.states[transfer.source]
    if transfer.factor == UNCHANGED:
        return value.clone()
    return (value.double() * transfer.factor.value).to(value.dtype)


def _change(member: Member, new: Member, transfers: tuple[Transfer, ...], step: int | None) -> Change:
    used = {each.source for each in transfers}
    lost = [name for name in member.states if name not in used]
    if member.master is not None and new.master is None:
        lost.append(MASTER.name)
    dtypes = {name: str(value.dtype).removeprefix("torch.") for name, value in member.states.items()}
    has_master = new.master is not None
    return Change(member.name, member.shape, member.place, transfers, tuple(lost), dtypes, step, has_master)
