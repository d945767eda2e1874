"""What clients train: a small byte-level GPT on real text; and the plain loop with which each of them is compared."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import Module
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler
from torch.utils.data import Dataset

from demo.model import ByteGPT, Shape
from demo.text import load_corpus

Batch = Any
SHAPE = Shape(context=32, n_layers=2, n_heads=2, width=32)
BATCH_SIZE, STEPS, ACCUMULATED = 8, 24, 2
LR, CLIP = 8e-3, 1.0
LOSS_BOUND = 3.7
"""Nats a byte; a model that knows nothing has log 256 = 5.55, and 24 steps bring every client to about 3.3."""


@cache
def windows() -> tuple[tuple[Tensor, Tensor], ...]:
    """Inputs and the bytes that follow them, (context,) each, for an epoch of `STEPS` steps."""
    count = STEPS * ACCUMULATED * BATCH_SIZE
    rows = load_corpus().train[: count * (SHAPE.context + 1)].long().view(count, -1)
    return tuple((row[:-1], row[1:]) for row in rows)


class Windows(Dataset[tuple[Tensor, Tensor]]):
    """The first `count` of the windows."""

    def __init__(self, count: int = STEPS * ACCUMULATED * BATCH_SIZE) -> None:
        self.members = windows()[:count]

    def __len__(self) -> int:
        return len(self.members)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.members[index]


def batches() -> list[tuple[Tensor, Tensor]]:
    """The windows in order, (batch, context) each."""
    members = windows()
    parts = (members[start : start + BATCH_SIZE] for start in range(0, len(members), BATCH_SIZE))
    return [(torch.stack([x for x, _ in part]), torch.stack([y for _, y in part])) for part in parts]


def new_model(seed: int = 0) -> ByteGPT:
    torch.manual_seed(seed)
    return ByteGPT(SHAPE)


def cosine(optimizer: Optimizer, steps: int = STEPS) -> LRScheduler:
    return CosineAnnealingLR(optimizer, steps)


def on_cosine(rate: float, steps: int = STEPS) -> list[float]:
    """The rates of an epoch, in closed form."""
    return [rate * (1 + math.cos(math.pi * step / steps)) / 2 for step in range(steps)]


def rates_of(optimizer: Optimizer) -> list[tuple[float, ...]]:
    """A list to which every step from now on adds the learning rates of all groups."""
    seen: list[tuple[float, ...]] = []
    optimizer.register_step_pre_hook(lambda own, *_: seen.append(tuple(float(g["lr"]) for g in own.param_groups)))
    return seen


def mean_loss(model: Module, batch: Batch) -> Tensor:
    """The loss of one of the batches whose gradients a step accumulates."""
    inputs, targets = batch
    return torch.nn.functional.cross_entropy(model(inputs).flatten(0, 1), targets.flatten()) / ACCUMULATED


def plain_loop(
    model: Module,
    optimizer: Optimizer,
    data: Sequence[Batch],
    scheduler: LRScheduler | None = None,
    *,
    loss_of: Callable[[Module, Batch], Tensor] = mean_loss,
    dtype: torch.dtype | None = None,
    clip_in_groups: bool = False,
) -> list[float]:
    """Trains by hand: gradients of `ACCUMULATED` batches, clipped to the norm `CLIP`, then a step. Returns the loss of
    each step; `dtype` is that of autocast. The norm adds up in the order of the model's parameters or, as Lightning
    has it, in that of the optimizer's groups.
    """
    in_groups = [each for group in optimizer.param_groups for each in group["params"]]
    losses: list[float] = []
    for start in range(0, len(data), ACCUMULATED):
        optimizer.zero_grad()
        total = 0.0
        for batch in data[start : start + ACCUMULATED]:
            with torch.autocast("cpu", dtype) if dtype else nullcontext():
                loss = loss_of(model, batch)
            loss.backward()
            total += loss.item()
        clip_grad_norm_(in_groups if clip_in_groups else model.parameters(), CLIP)
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
        losses.append(total)
    return losses


def assert_learnt(losses: Sequence[float]) -> None:
    assert losses[0] > 5
    assert sum(losses[-4:]) / 4 < LOSS_BOUND


def assert_same_parameters(found: Module, expected: Module) -> None:
    """Bit for bit."""
    pairs = zip(found.named_parameters(), expected.named_parameters(), strict=True)
    assert [name for (name, ours), (_, theirs) in pairs if not torch.equal(ours, theirs)] == []


def assert_same_optimizers(found: Optimizer, expected: Optimizer) -> None:
    """Bit for bit in their states, and equal in what their groups hold."""
    ours, theirs = found.state_dict(), expected.state_dict()
    assert ours["param_groups"] == theirs["param_groups"]
    assert ours["state"].keys() == theirs["state"].keys()
    for index, states in theirs["state"].items():
        assert states.keys() == ours["state"][index].keys()
        for name, state in states.items():
            assert state.dtype == ours["state"][index][name].dtype
            assert torch.equal(state, ours["state"][index][name]), (index, name)
