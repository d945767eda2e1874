"""The state_dicts of nanochat's MuonAdamW (nanochat/optim.py of 0e4b3faded62): matrices of one shape are a group, whose
states are stacked, [parameters, …], in the dictionary of its first parameter.

The buffers of its AdamW are kept for each parameter, with `step` as Python's int. Which version computed them, which
changes what the second moment is of, is for the meaning to say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from muondsl.conversion.checkpoint import Checkpoint, Group, Member
from muondsl.conversion.finding import ConversionError, Finding
from muondsl.conversion.layout import Layout, Written
from muondsl.conversion.state_dict import SavedGroup, member_of, missing_entries, saved_groups

NAME = "nanochat.MuonAdamW"
MEANING = """optimizer MuonAdamW
hyper lr           = 0.02         in [0, inf)
hyper momentum     = 0.95         in [0, 1)
hyper beta2        = 0.9          in [0, 1)
hyper weight_decay = 0            in [0, inf)
hyper betas        = (0.8, 0.95)  in [0, 1)

route matrix    role(matrix)
route otherwise role(embedding, head, norm, bias, vector)

momentum nesterov(beta = momentum)
orthogonalize {
  update <- update * (norm(update) / sqrt(rows) / max(norm(update, over = cols), 1e-6))
  polar_express(steps = 5, coefficients = polar_express_nanochat, safety = 1.01, eps = 1e-6)
  update <- update * (sqrt(min(rows, cols)) / max(norm(update), 1e-6))
}
adapt normuon(beta2 = beta2, eps = 1e-10)
scale sqrt(max(1, rows / cols))
decay cautious(weight_decay * scale)

otherwise adamw(betas = betas, eps = 1e-10, weight_decay = weight_decay) with weight_decay = 0
"""
KINDS = {"muon": "matrix", "adamw": "otherwise"}
KIND_OF = {route: kind for kind, route in KINDS.items()}
GROUPS: dict[str, dict[str, object]] = {
    "matrix": {"lr": 0.02, "momentum": 0.95, "ns_steps": 5, "beta2": 0.9, "weight_decay": 0.0},
    "otherwise": {"lr": 3e-4, "betas": (0.8, 0.95), "eps": 1e-10, "weight_decay": 0.0},
}
SCHEDULED = frozenset({"momentum"})
"""scripts/base_train.py sets the momentum of every step: from 0.85 up, and down again at the end."""


@dataclass(frozen=True, eq=False)
class LayoutOfNanochat(Layout):
    """Of MuonAdamW, and of one process: DistMuonAdamW leaves to every process a part of the states."""

    def hypers(self, route: str) -> Mapping[str, object]:
        return GROUPS[route]

    def read(self, saved: object) -> Checkpoint:
        groups, states = saved_groups(saved)
        if findings := [finding for group in groups for finding in _problems(group)]:
            raise ConversionError(findings)
        found = []
        for group in groups:
            route = KINDS[group.entries["kind"]]
            members = []
            for part in _parts(group, route, states, findings):
                member, wrong = member_of(self.meaning, route, *part)
                members.append(member)
                findings += wrong
            entries = {key: value for key, value in group.entries.items() if key != "kind"}
            found.append(Group(route, entries, tuple(members), SCHEDULED if route == "matrix" else frozenset()))
        if findings:
            raise ConversionError(findings)
        return Checkpoint(tuple(found))

    def write(self, checkpoint: Checkpoint) -> Written:
        """Groups of matrices are divided by shape, as nanochat divides them, in the order of the shapes."""
        if findings := [finding for group in checkpoint.groups for finding in _without_shape(group)]:
            raise ConversionError(findings)
        saved: dict[str, Any] = {"state": {}, "param_groups": []}
        places: list[tuple[str, ...]] = []
        start = 0
        for group in checkpoint.groups:
            placed: dict[int, str] = {}
            for members in _divided(group):
                numbers = range(start, start + len(members))
                start = numbers.stop
                saved["param_groups"].append(
                    {"kind": KIND_OF[group.route], **group.entries, "params": list(numbers)},
                )
                written = _stacked if group.route == "matrix" else _listed
                saved["state"] |= written(numbers, members)
                is_stack = group.route == "matrix"
                placed |= {
                    member.number: f"{numbers[0]}[{index}]" if is_stack else str(number)
                    for index, (number, member) in enumerate(zip(numbers, members, strict=True))
                }
            places.append(tuple(placed[member.number] for member in group.members))
        return Written(saved, tuple(places))


def _problems(group: SavedGroup) -> Iterator[Finding]:
    kind = group.entries.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        yield Finding(group.place, f"its `kind` should be {' or '.join(KINDS)} but is {kind!r}")
    else:
        yield from missing_entries(group, GROUPS[KINDS[kind]], NAME)


Parts = Iterator[tuple[int, str | None, str, Mapping[str, Any]]]


def _parts(group: SavedGroup, route: str, states: Mapping[int, Mapping[str, Any]], findings: list[Finding]) -> Parts:
    """Each parameter with its name, the place of its states, and the states."""
    members = zip(group.numbers, group.names, strict=True)
    if route != "matrix":
        yield from ((number, name, str(number), states.get(number, {})) for number, name in members)
        return
    first = group.numbers[0] if group.numbers else None
    stacks = {} if first is None else states.get(first, {})
    count = len(group.numbers)
    for state, value in stacks.items():
        if not isinstance(value, Tensor) or value.ndim < 2 or len(value) != count:
            found = list(value.shape) if isinstance(value, Tensor) else type(value).__name__
            findings.append(
                Finding(
                    group.place,
                    f"`{state}` should be stacked of its {count} parameters, but is {found}",
                    "what DistMuonAdamW saves is of one process: join the parts of all of them",
                )
            )
            return
    for index, (number, name) in enumerate(members):
        if number != first and states.get(number):
            findings.append(Finding(group.place, f"parameter {number} has states beside the stack of {first}"))
        yield number, name, f"{first}[{index}]", {key: value[index] for key, value in stacks.items()}


def _without_shape(group: Group) -> Iterator[Finding]:
    for member in group.members:
        if group.route == "matrix" and member.shape is None:
            yield Finding(member.label, "it has no states yet, so that nothing says in which stack it belongs")


def _divided(group: Group) -> Iterator[list[Member]]:
    if group.route != "matrix":
        yield list(group.members)
        return
    for shape in sorted({member.shape or () for member in group.members}):
        yield [member for member in group.members if member.shape == shape]


def _stacked(numbers: range, members: list[Member]) -> dict[int, dict[str, Any]]:
    names = members[0].states
    return {numbers[0]: {name: torch.stack([member.states[name] for member in members]) for name in names}}


def _listed(numbers: range, members: list[Member]) -> dict[int, dict[str, Any]]:
    pairs = zip(numbers, members, strict=True)
    return {number: {"step": member.step, **member.states} for number, member in pairs if member.states}
