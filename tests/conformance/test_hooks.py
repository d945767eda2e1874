"""The hooks of torch's optimizers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from tests.runtime.subjects import (
    Optimizer,
    advance,
    every_class_with_states,
    every_generated_class,
    flat,
    new_groups,
    new_parameters,
    snapshot,
)


@every_generated_class
def test_step_hooks_run_before_and_after_the_step(kind: Optimizer) -> None:
    optimizer = kind(new_groups(new_parameters(kind)))
    seen: list[tuple[str, int]] = []
    before = optimizer.register_step_pre_hook(lambda own, args, kwargs: seen.append(("pre", len(own.state))))
    after = optimizer.register_step_post_hook(lambda own, args, kwargs: seen.append(("post", len(own.state))))
    advance(optimizer, [0])
    assert seen == [("pre", 0), ("post", len(optimizer.state))]
    before.remove()
    after.remove()
    advance(optimizer, [1])
    assert len(seen) == 2


@every_generated_class
def test_hooks_of_all_optimizers_run_around_those_of_one(kind: Optimizer) -> None:
    parameters = new_parameters(kind)
    optimizer, other = kind(new_groups(parameters)), torch.optim.SGD(flat(parameters))
    seen: list[str] = []
    handles = [
        register_optimizer_step_pre_hook(lambda own, args, kwargs: seen.append("all pre")),
        register_optimizer_step_post_hook(lambda own, args, kwargs: seen.append("all post")),
        optimizer.register_step_pre_hook(lambda own, args, kwargs: seen.append("own pre")),
        optimizer.register_step_post_hook(lambda own, args, kwargs: seen.append("own post")),
    ]
    optimizer.step()
    assert seen == ["all pre", "own pre", "own post", "all post"]
    other.step()
    assert seen[4:] == ["all pre", "all post"]
    for handle in handles:
        handle.remove()
    optimizer.step()
    assert len(seen) == 6


@every_generated_class
def test_a_step_hook_may_give_other_arguments(kind: Optimizer) -> None:
    optimizer = kind(new_groups(new_parameters(kind)))
    optimizer.register_step_pre_hook(lambda own, args, kwargs: ((own, lambda: 2.5), {}))
    assert optimizer.step() == 2.5


@every_generated_class
def test_step_hooks_of_a_subclass_run_once(kind: Optimizer) -> None:
    derived: Any = type("Derived", (kind,), {})
    optimizer = derived(new_groups(new_parameters(kind)))
    seen: list[str] = []
    optimizer.register_step_pre_hook(lambda own, args, kwargs: seen.append("pre"))
    advance(optimizer, [0])
    assert seen == ["pre"]


@every_generated_class
def test_state_dict_hooks_run_on_saving(kind: Optimizer) -> None:
    optimizer = kind(new_groups(new_parameters(kind)))
    seen = []
    optimizer.register_state_dict_pre_hook(lambda own: seen.append("pre"))
    optimizer.register_state_dict_post_hook(lambda own, saved: saved.update(epoch=3))
    saved = optimizer.state_dict()
    assert seen == ["pre"]
    assert saved["epoch"] == 3
    assert all(group["fingerprint"] == kind.fingerprint for group in saved["param_groups"])


@every_generated_class
def test_hooks_on_loading_run_in_their_order(kind: Optimizer) -> None:
    optimizer = kind(new_groups(new_parameters(kind)))
    saved = optimizer.state_dict()
    seen: list[str] = []

    def with_lr(lr: float) -> Callable[[torch.optim.Optimizer, dict[str, Any]], dict[str, Any]]:
        def change(own: torch.optim.Optimizer, given: dict[str, Any]) -> dict[str, Any]:
            seen.append(f"pre {lr}")
            return {**given, "param_groups": [{**group, "lr": lr} for group in given["param_groups"]]}

        return change

    optimizer.register_load_state_dict_pre_hook(with_lr(0.25))
    optimizer.register_load_state_dict_pre_hook(with_lr(0.5), prepend=True)
    optimizer.register_load_state_dict_post_hook(lambda own: seen.append(f"post {own.param_groups[0]['lr']}"))
    optimizer.register_load_state_dict_post_hook(lambda own: seen.append("first"), prepend=True)
    optimizer.load_state_dict(saved)
    assert seen == ["pre 0.5", "pre 0.25", "first", "post 0.25"]


@every_class_with_states
def test_a_hook_may_adapt_a_checkpoint_before_it_is_checked(kind: Optimizer) -> None:
    optimizer = kind(new_groups(new_parameters(kind, torch.bfloat16)))
    advance(optimizer, [0])
    saved = optimizer.state_dict()
    renamed = {**saved, "state": {k: {f"old_{n}": t for n, t in v.items()} for k, v in saved["state"].items()}}

    def restore(own: torch.optim.Optimizer, given: dict[str, Any]) -> dict[str, Any]:
        states = {k: {n.removeprefix("old_"): t for n, t in v.items()} for k, v in given["state"].items()}
        return {**given, "state": states}

    fresh = kind(new_groups(new_parameters(kind, torch.bfloat16)))
    with pytest.raises(ValueError, match="should have states"):
        fresh.load_state_dict(renamed)
    fresh.register_load_state_dict_pre_hook(restore)
    formats = []
    fresh.register_load_state_dict_post_hook(lambda own: formats.extend(each.dtype for each in snapshot(own)))
    fresh.load_state_dict(renamed)
    assert [each.dtype for each in snapshot(optimizer)] == formats
