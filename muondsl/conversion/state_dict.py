"""What the state_dicts of torch have in common: groups of numbers, and the states of each number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from muondsl.conversion.checkpoint import Member
from muondsl.conversion.finding import ConversionError, Finding
from muondsl.conversion.meaning import Meaning
from muondsl.runtime.declarations import State
from muondsl.runtime.precision import MASTER

WHOLE_FILE = "the checkpoint"
OWN = frozenset({"params", "param_names"})


@dataclass(frozen=True, eq=False)
class SavedGroup:
    """A group as torch saves it: `numbers` are keys of the states."""

    index: int
    entries: Mapping[str, Any]
    numbers: tuple[int, ...]
    names: tuple[str | None, ...]

    @property
    def place(self) -> str:
        return f"group {self.index}"


def saved_groups(saved: object) -> tuple[tuple[SavedGroup, ...], Mapping[int, Mapping[str, Any]]]:
    """The groups and the states of a state_dict. Raises ConversionError where it is none."""
    if not isinstance(saved, dict) or not isinstance(saved.get("state"), dict):
        raise ConversionError([Finding(WHOLE_FILE, "it is no state_dict of an optimizer of torch", _hint(saved))])
    groups = saved.get("param_groups")
    if not isinstance(groups, list) or not all(_is_group(each) for each in groups):
        problem = "its `param_groups` are no list of groups with numbers as `params`"
        raise ConversionError([Finding(WHOLE_FILE, problem)])
    found = tuple(
        SavedGroup(
            index,
            {key: value for key, value in group.items() if key not in OWN},
            tuple(group["params"]),
            tuple(group.get("param_names") or [None] * len(group["params"])),
        )
        for index, group in enumerate(groups)
    )
    if findings := [*_bad_states(found, saved["state"]), *_bad_names(found)]:
        raise ConversionError(findings)
    return found, saved["state"]


def _is_group(group: object) -> bool:
    if not isinstance(group, dict) or not all(isinstance(key, str) for key in group):
        return False
    numbers, names = group.get("params"), group.get("param_names") or []
    is_named = isinstance(names, list) and all(isinstance(name, str) for name in names)
    return is_named and isinstance(numbers, list) and all(isinstance(number, int) for number in numbers)


def _hint(saved: object) -> str:
    entries = saved.items() if isinstance(saved, dict) else ()
    inside = [name for name, value in entries if isinstance(value, dict) and "param_groups" in value]
    return f"its entry {inside[0]!r} is one: `--entry {inside[0]}`" if inside else ""


def _bad_states(groups: Sequence[SavedGroup], states: Mapping[Any, Any]) -> Iterator[Finding]:
    counts = Counter(number for group in groups for number in group.numbers)
    for number in counts:
        if counts[number] > 1:
            yield Finding(WHOLE_FILE, f"parameter {number} is in its groups {counts[number]} times")
    for number, state in states.items():
        if number not in counts:
            yield Finding(WHOLE_FILE, f"it has states of {number!r}, which is in none of its groups")
        elif not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
            yield Finding(WHOLE_FILE, f"the states of {number!r} are no dictionary of names")


def _bad_names(groups: Sequence[SavedGroup]) -> Iterator[Finding]:
    for group in groups:
        if len(group.names) != len(group.numbers):
            yield Finding(group.place, f"it has {len(group.numbers)} parameters, but {len(group.names)} names")
    counts = Counter(name for group in groups for name in group.names if name is not None)
    for name, count in counts.items():
        if count > 1:
            yield Finding(WHOLE_FILE, f"{count} parameters are called {name}")


def missing_entries(group: SavedGroup, names: Iterable[str], system: str) -> Iterator[Finding]:
    if missing := [name for name in names if name not in group.entries]:
        listed = ", ".join(f"`{name}`" for name in missing)
        yield Finding(group.place, f"it has no {listed}, as the groups of {system} have")


def member_of(
    meaning: Meaning, route: str, number: int, name: str | None, place: str, states: Mapping[str, Any]
) -> tuple[Member, tuple[Finding, ...]]:
    """A parameter with its states, `step` among them, and what is wrong with them by the meaning."""
    own = {key: value for key, value in states.items() if key not in ("step", MASTER.name)}
    master = states.get(MASTER.name)
    expected = {state.name: state for state in meaning.states(route)}
    member = Member(number, place, name, own, step=_step(states.get("step")), master=master)
    findings = []
    if own and set(own) != set(expected):
        wanted, found = ", ".join(expected) or "none", ", ".join(sorted(own))
        findings.append(Finding(member.label, f"{meaning.name} keeps {wanted}, but the checkpoint has {found}"))
    tensors = own if master is None else {**own, MASTER.name: master}
    findings += [
        Finding(member.label, problem) for key, value in tensors.items() for problem in _bad_tensor(key, value)
    ]
    if own and meaning.counts_steps(route) and member.step is None:
        findings.append(Finding(member.label, "the checkpoint does not say how many steps it took, in a state `step`"))
    if findings or not tensors:
        return member, tuple(findings)
    kinds = {**expected, MASTER.name: MASTER}
    shape = next((tuple(value.shape) for key, value in tensors.items() if kinds[key].is_full), None)
    problems = () if shape is None else _bad_shapes({kinds[key]: tensors[key] for key in tensors}, route, shape)
    return replace(member, shape=shape), tuple(Finding(member.label, problem) for problem in problems)


def sizes_of(state: State, route: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Of a parameter without views."""
    return state.sizes(shape, ((shape[0], shape[1]),) if route == "matrix" and len(shape) == 2 else ())


def _step(value: object) -> int | None:
    """The count, of a tensor or of Python; None for what is none."""
    number = value.item() if isinstance(value, Tensor) and value.numel() == 1 else value
    if not isinstance(number, int | float) or not number >= 0 or number != number // 1:
        return None
    return int(number)


def _bad_tensor(name: str, value: object) -> Iterator[str]:
    if type(value) is not Tensor:
        yield f"`{name}` is no plain tensor but {type(value).__name__}: sharded states are joined before"
    elif not value.is_floating_point():
        yield f"`{name}` holds {value.dtype}"
    elif not bool(torch.isfinite(value).all()):
        yield f"`{name}` holds infinities or NaN"


def _bad_shapes(states: Mapping[State, Tensor], route: str, shape: tuple[int, ...]) -> Iterator[str]:
    for state, value in states.items():
        found = tuple(value.shape)
        if not state.is_full and route == "matrix" and (len(shape) != 2 or len(found) != 2):
            continue  # it is as the views are, which no checkpoint knows: who loads it checks it
        sizes = sizes_of(state, route, shape)
        if sizes != found:
            yield f"`{state.name}` should be {list(sizes)} but is {list(found)}"
