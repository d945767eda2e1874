"""The arguments of keras.optimizers.Muon (3.15.1) and the entries of groups as torch has them, either from the other.

Keras has one learning rate: Adam's is `adam_lr_ratio` times as large, but decay takes the plain one. Groups have rates
of their own, and decay takes these.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from muondsl.conversion.checkpoint import Group
from muondsl.conversion.finding import Finding
from muondsl.conversion.meaning import plain

GROUPS: dict[str, dict[str, object]] = {
    "matrix": {"lr": 1e-3, "momentum": 0.95, "weight_decay": 0.004, "nesterov": True, "ns_steps": 5, "rms_rate": 0.2},
    "otherwise": {"lr": 1e-3, "weight_decay": 0.004, "betas": (0.9, 0.999), "eps": 1e-7},
}
SAME = ("momentum", "nesterov", "ns_steps", "rms_rate")
BETAS = ("adam_beta_1", "adam_beta_2")
ARGUMENTS = ("learning_rate", "weight_decay", *SAME, "adam_lr_ratio", "adam_weight_decay", *BETAS, "epsilon")
NUMBERS = ("weight_decay", "adam_lr_ratio", "adam_weight_decay", "gradient_accumulation_steps")
"""With these it is reckoned; None stands for none."""


def bad_arguments(config: Mapping[str, Any]) -> Iterator[Finding]:
    for name in ARGUMENTS:
        if name not in config:
            yield Finding("the checkpoint", f"its config has no `{name}`, as keras.optimizers.Muon has")
    for name in NUMBERS:
        if not isinstance(value := config.get(name), int | float | None):
            yield Finding("the checkpoint", f"`{name}` of its config should be a number but is {value!r}")


def to_entries(config: Mapping[str, Any], rate: float | None) -> dict[str, dict[str, object]]:
    """The entries of both routes. `rate` is the learning rate of the moment; where it is None, a schedule gives it, and
    the entries have none.
    """
    ratio = config["adam_lr_ratio"] or 0.0
    matrix: dict[str, object] = {name: config[name] for name in SAME}
    matrix["weight_decay"] = config["weight_decay"] or 0.0
    others: dict[str, object] = {
        "weight_decay": (config["adam_weight_decay"] or 0.0) / (ratio or 1),
        "betas": tuple(config[name] for name in BETAS),
        "eps": config["epsilon"],
    }
    if rate is not None:
        matrix["lr"], others["lr"] = rate, rate * ratio
    return {"matrix": matrix, "otherwise": others}


def to_config(groups: Iterable[Group], findings: list[Finding]) -> dict[str, Any]:
    """Arguments for the constructor. Finds fault with groups of one route that differ, and with a learning rate of zero
    that Adam's is no multiple of.
    """
    matrix, others = (_common(groups, route, findings) for route in GROUPS)
    rate, adam_rate = matrix.get("lr", others.get("lr")), others.get("lr", matrix.get("lr"))
    if adam_rate and not rate:
        findings.append(Finding("the checkpoint", f"its matrices have lr {rate}, of which {adam_rate} is no multiple"))
    ratio = adam_rate / rate if adam_rate and rate else 1.0
    config = {"learning_rate": rate, **{name: matrix[name] for name in ("weight_decay", *SAME) if name in matrix}}
    if others:
        config |= {
            "adam_lr_ratio": ratio,
            "adam_weight_decay": others["weight_decay"] * ratio,
            "epsilon": others["eps"],
        }
        config |= dict(zip(BETAS, others["betas"], strict=True))
    return config


def _common(groups: Iterable[Group], route: str, findings: list[Finding]) -> dict[str, Any]:
    """The entries that all groups of the route have; empty where there is no such group."""
    common: dict[str, Any] = {}
    for group in groups:
        for name in GROUPS[route] if group.route == route else ():
            value = plain(group.entries[name])
            if common.setdefault(name, value) != value:
                problem = f"the groups have `{name}` {common[name]} and {value}, and Keras has one for all"
                findings.append(Finding(f"groups of {route}", problem, f"`--hyper {name}=VALUE`"))
    return common
