"""The variables of keras.optimizers.Muon (keras/src/optimizers/muon.py of Keras 3.15.1), in a dictionary:

    {"config": optimizer.get_config(), "variables": {variable.path: tensor for variable in optimizer.variables}}

Those are `iteration`; `learning_rate`, unless that is a schedule; and for each variable v of the model, in order,
`<path of v, with _ for />_momentum` and, where Adam takes v, `…_velocity`. A kernel is stored [inputs, outputs],
transposed against torch; a table of embeddings is not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor

from muondsl.conversion.checkpoint import Checkpoint, Group, Member
from muondsl.conversion.finding import ConversionError, Finding
from muondsl.conversion.keras_config import GROUPS, bad_arguments, to_config, to_entries
from muondsl.conversion.layout import Layout, Written
from muondsl.conversion.state_dict import WHOLE_FILE, member_of
from muondsl.runtime.roles import EMBEDDING_NAMES

NAME = "keras.optimizers.Muon"
MEANING = """optimizer Muon
hyper lr           = 1e-3          in [0, inf)
hyper momentum     = 0.95          in [0, 1)
hyper weight_decay = 0.004         in [0, inf)
hyper betas        = (0.9, 0.999)  in [0, 1)
route matrix    ndim == 2 and not named("*embedding*")
route otherwise rest
momentum  nesterov_heavy_ball(beta = momentum)
decay     decoupled(weight_decay)
otherwise adamw(betas = betas, eps = 1e-7, weight_decay = weight_decay)
"""
"""The iteration and Adam's ε do not matter to the states."""

STATES = {"matrix": {"momentum": "momentum_buffer"}, "otherwise": {"momentum": "exp_avg", "velocity": "exp_avg_sq"}}


@dataclass(frozen=True, eq=False)
class LayoutOfKeras(Layout):
    """Of keras.optimizers.Muon, which counts steps once for all variables."""

    has_any_entry = False

    def hypers(self, route: str) -> Mapping[str, object]:
        return GROUPS[route]

    def read(self, saved: object) -> Checkpoint:
        variables, config = _parts(saved)
        findings: list[Finding] = []
        named, scalars = _sorted(variables, findings)
        members: dict[str, list[Member]] = {"matrix": [], "otherwise": []}
        step = scalars.get("iteration", 0) // (config.get("gradient_accumulation_steps") or 1)
        for number, (name, states) in enumerate(named.items()):
            route = "otherwise" if "velocity" in states else "matrix"
            member, wrong = self._member(number, name, route, states, step)
            members[route].append(member)
            findings += wrong
        if findings:
            raise ConversionError(findings)
        rate = scalars.get("learning_rate", config["learning_rate"])
        entries = to_entries(config, rate if isinstance(rate, int | float) else None)
        groups = (Group(route, entries[route], tuple(chosen)) for route, chosen in members.items() if chosen)
        return Checkpoint(tuple(groups))

    def _member(
        self, number: int, name: str, route: str, states: Mapping[str, Tensor], step: float
    ) -> tuple[Member, tuple[Finding, ...]]:
        """`states` are by Keras's own names."""
        if missing := STATES[route].keys() - states.keys():
            return Member(number, name), (Finding(name, f"it has no variable {name}_{missing.pop()}"),)
        ndim = states["momentum"].ndim
        if ndim > 2:
            return Member(number, name), (Finding(name, f"it has {ndim} dimensions: {MANY_DIMENSIONS}"),)
        is_transposed = _is_kernel(route, ndim, name)
        turned = {
            STATES[route][key]: _turned(value) if is_transposed and value.ndim == 2 else value
            for key, value in states.items()
        }
        place = f"{name}, transposed" if is_transposed else name
        return member_of(self.meaning, route, number, name, place, {**turned, "step": step})

    def write(self, checkpoint: Checkpoint) -> Written:
        findings = [*_unfit(checkpoint)]
        config = to_config(checkpoint.groups, findings)
        step = _steps(checkpoint, findings)
        if findings:
            raise ConversionError(findings)
        variables: dict[str, Tensor] = {
            "muon/iteration": torch.tensor(step),
            "muon/learning_rate": torch.tensor(config["learning_rate"], dtype=torch.float32),
        }
        places = []
        for group in checkpoint.groups:
            placed = []
            for member in group.members:
                is_transposed = _is_kernel(group.route, len(member.shape or ()), member.name or "")
                for own, name in STATES[group.route].items():
                    value = member.states[name]
                    variables[f"muon/{_own_name(member)}_{own}"] = _turned(value) if is_transposed else value
                placed.append(_own_name(member) + (", transposed" if is_transposed else ""))
            places.append(tuple(placed))
        return Written({"config": config, "variables": variables}, tuple(places))


MANY_DIMENSIONS = "Keras stores kernels of convolutions in another order than torch, and not all of them in the same"


def _turned(value: Tensor) -> Tensor:
    return value.mT.contiguous()


def _is_kernel(route: str, ndim: int, name: str) -> bool:
    """Whether it is stored transposed: a matrix that is no table of embeddings, to which Keras's Muon applies Adam."""
    is_table = route == "otherwise" and any(fnmatchcase(name.lower(), pattern) for pattern in EMBEDDING_NAMES)
    return ndim == 2 and not is_table


def _parts(saved: object) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    parts = [saved.get(name) if isinstance(saved, dict) else None for name in ("variables", "config")]
    if not isinstance(parts[0], dict) or not isinstance(parts[1], dict):
        problem = f"it is no dictionary of `config` and `variables` of a {NAME}"
        raise ConversionError([Finding(WHOLE_FILE, problem, "docs/checkpoints.md shows how to save one")])
    if findings := [*bad_arguments(parts[1])]:
        raise ConversionError(findings)
    return parts[0], parts[1]


def _sorted(
    variables: Mapping[str, Any], findings: list[Finding]
) -> tuple[dict[str, dict[str, Tensor]], dict[str, float]]:
    """The states of each variable of the model, and what there is once."""
    named: dict[str, dict[str, Tensor]] = {}
    scalars: dict[str, float] = {}
    for path, value in variables.items():
        own = str(path).rpartition("/")[2]
        name, _, state = own.rpartition("_")
        if type(value) is not Tensor:
            findings.append(Finding(str(path), f"it is no plain tensor but {type(value).__name__}"))
        elif own in ("iteration", "learning_rate") and value.numel() == 1:
            scalars[own] = value.item()
        elif state not in ("momentum", "velocity"):
            findings.append(Finding(str(path), "it is neither a momentum nor a velocity", "leave it out to lose it"))
        elif state in named.setdefault(name, {}):
            findings.append(Finding(str(path), f"there are two variables {own}"))
        else:
            named[name][state] = value
    if "iteration" not in scalars:
        findings.append(Finding(WHOLE_FILE, "it has no variable `iteration`"))
    return named, scalars


def _unfit(checkpoint: Checkpoint) -> Iterator[Finding]:
    """Parameters that Keras could not hold, or not tell apart."""
    seen: dict[str, str] = {}
    for group in checkpoint.groups:
        for member in group.members:
            if not member.states:
                yield Finding(member.label, "it has no states yet, and Keras keeps some of every variable")
            elif member.shape is None or len(member.shape) > 2:
                yield Finding(member.label, f"it is of {list(member.shape or ())}: {MANY_DIMENSIONS}")
            elif group.route == "otherwise" and len(member.shape) == 2 and member.name is None:
                yield Finding(member.label, "it has no name that says whether it is a table of embeddings or a kernel")
            name = _own_name(member)
            if name in seen:
                yield Finding(member.label, f"as a variable of Keras it would be called {name}, as {seen[name]} is")
            seen[name] = member.label


def _own_name(member: Member) -> str:
    """As Keras makes one of a path."""
    return str(member.number) if member.name is None else member.name.replace(".", "_").replace("/", "_")


def _steps(checkpoint: Checkpoint, findings: list[Finding]) -> int:
    """The one number of steps that all parameters took."""
    steps = sorted({each.step for group in checkpoint.groups for each in group.members if each.step is not None})
    if len(steps) != 1:
        counts = f"counts {', '.join(map(str, steps))}" if steps else "counts none"
        problem = f"Keras counts steps once for all variables, and the checkpoint {counts}"
        findings.append(Finding(WHOLE_FILE, problem, "" if steps else "`--step N` says how many were taken"))
    return steps[0] if steps else 0
