"""The entries of a group made into those of the target's group: by name, then as given, then as in a new group."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass

from muondsl.conversion.checkpoint import Group
from muondsl.conversion.finding import Finding
from muondsl.conversion.layout import Layout
from muondsl.conversion.meaning import plain


@dataclass(frozen=True, eq=False)
class Entries:
    """`kept` have the name and the value that they had, `new` are those of a new group, `left` are lost. Those
    `unread` are hypers that stand in every group, and that steps of this route do not use.
    """

    kept: Mapping[str, object]
    given: Mapping[str, object]
    new: Mapping[str, object]
    left: Mapping[str, object]
    unread: frozenset[str]

    @property
    def all(self) -> dict[str, object]:
        return {**self.new, **self.kept, **self.given}


def carry_entries(group: Group, source: Layout, target: Layout, given: Mapping[str, object]) -> Entries:
    """What neither system knows is kept, where the target has a place for it."""
    wanted, fixed = target.hypers(group.route), target.fixed(group.route)
    known = source.hypers(group.route).keys() | source.fixed(group.route).keys()
    chosen = {name: given[name] for name in wanted if name in given}
    kept = {
        name: deepcopy(value)
        for name, value in group.entries.items()
        if name not in chosen and (name in wanted or (name not in known | fixed.keys() and target.has_any_entry))
    }
    new = {name: value for name, value in wanted.items() if name not in chosen.keys() | kept.keys()}
    left = {
        name: value
        for name, value in group.entries.items()
        if name not in chosen.keys() | kept.keys() and not (name in fixed and fixed[name] == plain(value))
    }
    ends = source.meaning, target.meaning
    read = frozenset().union(*(meaning.hypers_read(group.route) for meaning in ends))
    hypers = frozenset().union(*(meaning.hyper_names for meaning in ends))
    return Entries(kept, chosen, new, left, hypers - read)


def missing_entries_of(group: Group, entries: Entries, source: Layout, place: str) -> Iterator[Finding]:
    """Those that the source has a place for, and this checkpoint no value."""
    for name in source.hypers(group.route):
        if name in entries.new:
            yield Finding(place, f"the checkpoint does not say what `{name}` is", f"`--hyper {name}=VALUE`")
