"""Whether a checkpoint is one that an optimizer may load, and its states in the formats that the spec gives them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from muondsl.runtime.precision import MASTER
from muondsl.runtime.roles import plain_name

if TYPE_CHECKING:
    from muondsl.runtime.optimizer import SpecOptimizer


def accepted_checkpoint(optimizer: SpecOptimizer, given: Mapping[str, Any], *, any_fingerprint: bool) -> dict[str, Any]:
    """The checkpoint as torch may load it."""
    groups = list(given["param_groups"])
    for saved in groups:
        _check_identity(optimizer, saved, any_fingerprint=any_fingerprint)
    _check_names(groups, optimizer.param_groups)
    own = [_own_entries(optimizer, saved, group) for saved, group in zip(groups, optimizer.param_groups, strict=False)]
    accepted = {**given, "param_groups": own + groups[len(own) :]}
    _check_states(optimizer, accepted)
    return accepted


def _check_identity(optimizer: SpecOptimizer, saved: Mapping[str, Any], *, any_fingerprint: bool) -> None:
    name = type(optimizer).__name__
    found = saved.get("fingerprint")
    if any_fingerprint:
        return
    if found not in (None, optimizer.fingerprint):
        raise ValueError(
            f"the checkpoint was written by another spec: its fingerprint is {found}, that of {name} "
            f"is {optimizer.fingerprint}; pass any_fingerprint=True to load it if names and shapes of its states agree"
        )
    # A class that loaded our checkpoint keeps the fingerprint in its groups, even if it computes something else.
    if found is not None and not any(key in saved for key in _foreign(optimizer)):
        return
    differences = [checkpoint.differences(saved) for checkpoint in optimizer.checkpoints]
    if not differences:
        raise ValueError(
            f"the checkpoint has no fingerprint, so that nothing says whether it computes what {name} does; "
            "pass any_fingerprint=True to load it all the same"
        )
    if all(differences):
        system, nearest = optimizer.checkpoints[0].system, min(differences, key=len)
        raise ValueError(
            f"the checkpoint is not of a {system} that computes what {name} does: it has {', '.join(nearest)}; "
            "pass any_fingerprint=True to load it all the same"
        )


def _foreign(optimizer: SpecOptimizer) -> set[str]:
    """Entries that tell compatible classes, and that steps do not read."""
    return {key for each in optimizer.checkpoints for key in each.entries if key not in optimizer.defaults}


def _own_entries(optimizer: SpecOptimizer, saved: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """A saved group with what is missing in it taken from ours, and with our identity in the place of its own."""
    if saved.get("route", own["route"]) != own["route"]:
        raise ValueError(f"a group of the checkpoint has route {saved['route']!r}, ours has {own['route']!r}")
    identifying = {"fingerprint", *_foreign(optimizer)}
    kept = {key: value for key, value in saved.items() if key not in identifying}
    missing = {key: own[key] for key in ("route", *optimizer.defaults) if key in own and key not in kept}
    for hyper in optimizer.hypers:
        hyper.check({**missing, **kept}[hyper.name])
    return {**kept, **missing, "fingerprint": optimizer.fingerprint}


def _check_names(saved: Sequence[Mapping[str, Any]], own: Sequence[Mapping[str, Any]]) -> None:
    """States go from place to place. Names may have changed since, but none of ours may stand in another place."""
    pairs = [
        (plain_name(theirs), plain_name(ours))
        for group, own_group in zip(saved, own, strict=False)
        for theirs, ours in zip(group.get("param_names", ()), own_group.get("param_names", ()), strict=False)
    ]
    names = {ours for _, ours in pairs}
    for theirs, ours in pairs:
        if theirs != ours and theirs in names:
            raise ValueError(
                f"the checkpoint has its parameters in another order: {theirs!r} in the place of our {ours!r}; make "
                "the optimizer of the parameters in the checkpoint's order"
            )


def _check_states(optimizer: SpecOptimizer, saved: Mapping[str, Any]) -> None:
    for index, parameter, route in _numbered(optimizer, saved):
        state = saved["state"].get(index)
        if not state:
            continue
        matrices = optimizer.matrices_of(route, parameter)
        expected = {each.name: each.sizes(parameter.shape, matrices) for each in optimizer.states_of(route, parameter)}
        if optimizer.counts_steps_of(route, parameter):
            expected["step"] = ()
        found = {name: tuple(value.shape) for name, value in state.items() if isinstance(value, Tensor)}
        if MASTER.name in found and MASTER.name not in expected:
            raise ValueError(
                f"the checkpoint has a master in fp32 for parameter {index}, but {type(optimizer).__name__} keeps them "
                f"with master_weights=True and for bf16 and fp16 alone; the parameter is in {parameter.dtype}"
            )
        # A step makes what is missing of these: masters are copies of the parameters at first, and counts begin.
        begun = {MASTER.name} if route in optimizer.counts_steps else {MASTER.name, "step"}
        if found != {name: sizes for name, sizes in expected.items() if name in found or name not in begun}:
            raise ValueError(f"parameter {index} should have states {expected} but the checkpoint has: {found}")


def restore_formats(optimizer: SpecOptimizer, saved: Mapping[str, Any]) -> None:
    """torch loads floating-point state in the parameter's format; states with a format of their own keep it."""
    for index, parameter, route in _numbered(optimizer, saved):
        own = saved["state"].get(index) or {}
        for each in optimizer.states_of(route, parameter):
            if each.dtype is not None and each.name in own:
                value = own[each.name]
                optimizer.state[parameter][each.name] = value.to(parameter.device, each.dtype, copy=True)


def _numbered(optimizer: SpecOptimizer, saved: Mapping[str, Any]) -> list[tuple[Any, Tensor, str]]:
    """The numbers under which a checkpoint knows our parameters."""
    return [
        (index, parameter, own["route"])
        for group, own in zip(saved["param_groups"], optimizer.param_groups, strict=False)
        for index, parameter in zip(group["params"], own["params"], strict=False)
    ]
