"""State_dicts in which every parameter has states of its own: those of generated classes, and of torch.optim.Muon."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from muondsl.conversion.checkpoint import Checkpoint, Group, Member
from muondsl.conversion.finding import ConversionError, Finding
from muondsl.conversion.layout import Written
from muondsl.conversion.meaning import Meaning
from muondsl.conversion.state_dict import SavedGroup, member_of, saved_groups
from muondsl.runtime.precision import MASTER

IDENTITY = frozenset({"route", "fingerprint"})
"""What a class that loads our checkpoints may keep in its groups."""

MAXIMIZE = "maximize"
"""The entry that turns a group's gradients round, and with them its states; where it is false, it says nothing."""

CYCLED = frozenset({"base_momentum", "max_momentum"})
"""What those schedulers of torch leave in the groups that change the momentum: OneCycleLR and CyclicLR."""


def read_groups(saved: object, meaning: Meaning, problems: Callable[[SavedGroup], list[Finding]]) -> Checkpoint:
    """The checkpoint. `problems` are those of a group, before its parameters are looked at. A group without a route is
    of matrices. Raises ConversionError.
    """
    groups, states = saved_groups(saved)
    if findings := [finding for group in groups for finding in problems(group)]:
        raise ConversionError(findings)
    found = []
    for group in groups:
        route = group.entries.get("route", "matrix")
        members = []
        for number, name in zip(group.numbers, group.names, strict=True):
            member, wrong = member_of(meaning, route, number, name, str(number), states.get(number, {}))
            members.append(member)
            findings += wrong
        saying = {key: value for key, value in group.entries.items() if key != MAXIMIZE or value is not False}
        entries = {key: value for key, value in saying.items() if key not in IDENTITY}
        scheduled = frozenset({"momentum", "betas"}) if CYCLED & entries.keys() else frozenset()
        found.append(Group(route, entries, tuple(members), scheduled))
    if findings:
        raise ConversionError(findings)
    return Checkpoint(tuple(found))


def write_groups(checkpoint: Checkpoint, meaning: Meaning, groups: list[dict[str, Any]]) -> Written:
    """The checkpoint with these entries of its groups; parameters are numbered anew."""
    states: dict[int, dict[str, Any]] = {}
    places: list[tuple[str, ...]] = []
    start = 0
    for group, entries in zip(checkpoint.groups, groups, strict=True):
        numbers = range(start, start + len(group.members))
        start = numbers.stop
        names = [member.name for member in group.members]
        if names and all(name is not None for name in names):
            entries["param_names"] = names
        entries["params"] = list(numbers)
        for number, member in zip(numbers, group.members, strict=True):
            if member.states or member.master is not None:
                states[number] = _states(member, counts_steps=meaning.counts_steps(group.route))
        places.append(tuple(str(number) for number in numbers))
    return Written({"state": states, "param_groups": groups}, tuple(places))


def _states(member: Member, *, counts_steps: bool) -> dict[str, Any]:
    states: dict[str, Any] = dict(member.states)
    if member.master is not None:
        states[MASTER.name] = member.master
    if not counts_steps or not member.states:
        return states
    assert member.step is not None
    return {"step": torch.tensor(float(member.step), dtype=torch.float32), **states}
