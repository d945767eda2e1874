"""The state_dicts of torch.optim.Muon (torch 2.9 to 2.13), which takes matrices alone and keeps `momentum_buffer`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from muondsl.conversion.checkpoint import Checkpoint
from muondsl.conversion.finding import Finding
from muondsl.conversion.layout import Layout, Written
from muondsl.conversion.per_parameter import read_groups, write_groups
from muondsl.conversion.state_dict import SavedGroup, missing_entries

NAME = "torch.optim.Muon"
MEANING = """optimizer Muon
hyper lr           = 1e-3  in [0, inf)
hyper weight_decay = 0.1   in [0, inf)
hyper momentum     = 0.95  in [0, inf)
momentum nesterov(beta = momentum)
decay    decoupled(weight_decay)
"""
"""What it says of the state holds with and without Nesterov's step, and whatever the iteration is."""


@dataclass(frozen=True, eq=False)
class LayoutOfTorch(Layout):
    """Of torch.optim.Muon."""

    def hypers(self, route: str) -> Mapping[str, object]:
        return torch.optim.Muon([{"params": []}]).defaults if route == "matrix" else {}

    def read(self, saved: object) -> Checkpoint:
        return read_groups(saved, self.meaning, self._problems)

    def _problems(self, group: SavedGroup) -> list[Finding]:
        if (route := group.entries.get("route", "matrix")) != "matrix":
            return [Finding(group.place, f"its route is {route!r}: a generated class wrote it, not {NAME}")]
        return list(missing_entries(group, self.hypers("matrix"), NAME))

    def write(self, checkpoint: Checkpoint) -> Written:
        return write_groups(checkpoint, self.meaning, [dict(group.entries) for group in checkpoint.groups])
