"""What a conversion did, as data, and as text with a line for each parameter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from muondsl.conversion.carry_entries import Entries
from muondsl.conversion.meaning import plain
from muondsl.conversion.transfer import Transfer
from muondsl.conversion.unit import UNCHANGED
from muondsl.runtime.precision import MASTER


@dataclass(frozen=True, slots=True)
class Change:
    """What was done to the states of a parameter. `before` and `after` are places in the files, `lost` states that the
    target does not have, `dtypes` those of the states, and `step` the count that was written. `has_master` says that
    the parameter itself in fp32 lies with its states.
    """

    name: str | None
    shape: tuple[int, ...] | None
    before: str
    transfers: tuple[Transfer, ...]
    lost: tuple[str, ...]
    dtypes: Mapping[str, str]
    step: int | None
    has_master: bool = False
    after: str = ""

    def __str__(self) -> str:
        where = f"{self.before} → {self.after}"
        name = "" if self.name in (self.before.split(",")[0], self.after.split(",")[0]) else self.name or ""
        what = [name, str(list(self.shape)) if self.shape is not None else ""]
        return f"{' '.join([where, *filter(None, what)])}: {'; '.join(self._pieces())}"

    def _pieces(self) -> Iterator[str]:
        if not self.dtypes:
            yield "no states yet"
        unchanged = [each for each in self.transfers if each.factor == UNCHANGED and each.source is not None]
        same = [*(_named(each) for each in unchanged), *([MASTER.name] if self.has_master else ())]
        if same:
            yield f"{', '.join(same)} as {'it was' if len(same) == 1 else 'they were'}"
        for each in self.transfers:
            if each.source is None:
                yield f"{each.target} begins anew"
            elif each.factor != UNCHANGED:
                yield f"{_named(each)} {each.factor}, rounded once to {self.dtypes[each.source]}"
        if self.lost:
            yield f"{', '.join(self.lost)} left behind"
        if self.step is not None and any(each.source for each in self.transfers):
            yield f"step {self.step}"


def _named(transfer: Transfer) -> str:
    names = f"{transfer.target} ← {transfer.source}" if transfer.source != transfer.target else transfer.target
    return f"{names} (on your word)" if transfer.is_given else names


@dataclass(frozen=True, slots=True)
class GroupReport:
    """What became of a group. Without `entries` it was left behind."""

    index: int
    route: str
    parameters: int
    entries: Entries | None = None
    changes: tuple[Change, ...] = ()

    def placed(self, places: tuple[str, ...]) -> GroupReport:
        """With the places at which its parameters were written."""
        changes = (replace(each, after=place) for each, place in zip(self.changes, places, strict=True))
        return replace(self, changes=tuple(changes))

    def lines(self) -> Iterator[str]:
        plural = "" if self.parameters == 1 else "s"
        heading = f"group {self.index}, {self.route}, {self.parameters} parameter{plural}"
        if self.entries is None:
            yield f"{heading}: left behind"
            return
        yield heading
        for what, entries in (
            ("as they were", self.entries.kept),
            ("as given", self.entries.given),
            ("as in a new group", self.entries.new),
            ("left behind", self.entries.left),
        ):
            shown = [f"{name} {plain(value)}" for name, value in entries.items() if name not in self.entries.unread]
            if shown:
                yield f"  {what}: {', '.join(shown)}"
        yield from (f"  {change}" for change in self.changes)


@dataclass(frozen=True, slots=True)
class Report:
    source: str
    target: str
    groups: tuple[GroupReport, ...]

    def __str__(self) -> str:
        lines = [f"{self.source} → {self.target}"]
        lines += [line for group in self.groups for line in group.lines()]
        return "\n".join(lines)
