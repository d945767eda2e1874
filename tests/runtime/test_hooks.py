"""The hooks of torch's optimizers."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.runtime.subjects import (
    Optimizer,
    advance,
    every_class,
    every_class_with_states,
    new_groups,
    new_parameters,
    snapshot,
)


@every_class
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


@every_class
def test_state_dict_hooks_run_on_saving(kind: Optimizer) -> None:
    optimizer = kind(new_groups(new_parameters(kind)))
    seen = []
    optimizer.register_state_dict_pre_hook(lambda own: seen.append("pre"))
    optimizer.register_state_dict_post_hook(lambda own, saved: saved.update(epoch=3))
    saved = optimizer.state_dict()
    assert seen == ["pre"]
    assert saved["epoch"] == 3
    assert all(group["fingerprint"] == kind.fingerprint for group in saved["param_groups"])


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
