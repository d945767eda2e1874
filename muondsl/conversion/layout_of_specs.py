"""The state_dicts of generated classes: groups with a route and a fingerprint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from muondsl.conversion.checkpoint import Checkpoint
from muondsl.conversion.finding import Finding
from muondsl.conversion.layout import Layout, Written
from muondsl.conversion.per_parameter import MAXIMIZE, read_groups, write_groups
from muondsl.conversion.state_dict import SavedGroup, missing_entries


@dataclass(frozen=True, eq=False)
class LayoutOfSpecs(Layout):
    """Of the class that the meaning's spec yields."""

    is_generated: ClassVar[bool] = True

    def hypers(self, route: str) -> Mapping[str, object]:
        return self.meaning.new_group(route)

    def fixed(self, route: str) -> Mapping[str, object]:
        """What the class itself writes into groups of matrices, for another class. `maximize` is the user's."""
        known = self.meaning.optimizer.checkpoints
        entries = known[0].entries if known and route == "matrix" else {}
        return {name: value for name, value in entries.items() if name != MAXIMIZE}

    def read(self, saved: object) -> Checkpoint:
        return read_groups(saved, self.meaning, self._problems)

    def _problems(self, group: SavedGroup) -> list[Finding]:
        name, own = self.meaning.name, self.meaning.optimizer.fingerprint
        found, route = group.entries.get("fingerprint"), str(group.entries.get("route"))
        if found is None:
            return [Finding(group.place, f"it has no fingerprint, so that nothing says whether {name} wrote it")]
        if found != own:
            return [Finding(group.place, f"another spec wrote it: its fingerprint is {found}, that of {name} is {own}")]
        if route not in self.meaning.programs:
            return [Finding(group.place, f"its route is {route!r}, which {name} does not have")]
        maximize = group.entries.get(MAXIMIZE, False)
        if not isinstance(maximize, bool):
            return [Finding(group.place, f"`{MAXIMIZE}` should be True or False but is {maximize!r}")]
        return list(missing_entries(group, self.hypers(route), name))

    def write(self, checkpoint: Checkpoint) -> Written:
        fingerprint = self.meaning.optimizer.fingerprint
        groups = [
            {
                MAXIMIZE: False,
                **group.entries,
                "route": group.route,
                **self.fixed(group.route),
                "fingerprint": fingerprint,
            }
            for group in checkpoint.groups
        ]
        return write_groups(checkpoint, self.meaning, groups)
