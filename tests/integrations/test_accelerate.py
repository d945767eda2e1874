"""Accelerate: what `prepare` returns trains as the plain loop does, and its checkpoints continue bit for bit."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, GradientState
from torch import Tensor
from torch.nn import Module
from torch.utils.data import DataLoader

from generated.keller_jordan import KellerJordan
from generated.moonlight import Moonlight
from generated.nanochat import Nanochat
from muondsl.runtime import SpecOptimizer
from tests.integrations.training import (
    ACCUMULATED,
    BATCH_SIZE,
    CLIP,
    LR,
    STEPS,
    Windows,
    assert_learnt,
    assert_same_optimizers,
    assert_same_parameters,
    batches,
    cosine,
    new_model,
    on_cosine,
    plain_loop,
    rates_of,
)

HALF = STEPS * ACCUMULATED // 2
"""Batches of half an epoch."""

formats = pytest.mark.parametrize("mixed_precision", ["no", "bf16"])


@pytest.fixture(autouse=True)
def _one_accelerator_a_test() -> Iterator[None]:
    """The library keeps one state a process, which no other test may find or leave."""
    forget()
    yield
    forget()


def forget() -> None:
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()


@dataclass
class Run:
    """A model with all that `prepare` wraps."""

    accelerator: Accelerator
    model: Module
    optimizer: Any
    loader: Any
    scheduler: Any

    @classmethod
    def new(
        cls, kind: type[SpecOptimizer], mixed_precision: str = "no", *, seed: int = 0, shuffle: bool = False
    ) -> Run:
        accelerator = Accelerator(cpu=True, mixed_precision=mixed_precision, gradient_accumulation_steps=ACCUMULATED)
        model = new_model(seed)
        optimizer = kind(model.named_parameters(), lr=LR)
        loader = DataLoader(
            Windows(), batch_size=BATCH_SIZE, shuffle=shuffle, generator=torch.Generator().manual_seed(5)
        )
        return cls(accelerator, *accelerator.prepare(model, optimizer, loader, cosine(optimizer)))

    def train(self, first: int = 0, last: int = 2 * HALF) -> list[float]:
        """Steps on the batches of an epoch from `first` to before `last`; returns the loss of each step."""
        losses: list[float] = []
        skipped = self.accelerator.skip_first_batches(self.loader, first)
        for _, (inputs, targets) in zip(range(first, last), skipped, strict=False):
            with self.accelerator.accumulate(self.model):
                logits: Tensor = self.model(inputs)
                loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
                self.accelerator.backward(loss)
                if self.accelerator.sync_gradients:
                    self.accelerator.clip_grad_norm_(self.model.parameters(), CLIP)
                self.optimizer.step()
                self.scheduler.step()
                self.optimizer.zero_grad()
            losses.append(loss.item())
        return [sum(losses[at : at + ACCUMULATED]) / ACCUMULATED for at in range(0, len(losses), ACCUMULATED)]


@formats
def test_it_trains_as_the_plain_loop(mixed_precision: str) -> None:
    run = Run.new(Moonlight, mixed_precision)
    assert_learnt(run.train())
    model = new_model()
    optimizer = Moonlight(model.named_parameters(), lr=LR)
    plain_loop(
        model, optimizer, batches(), cosine(optimizer), dtype=torch.bfloat16 if mixed_precision == "bf16" else None
    )
    assert_same_parameters(run.model, model)
    assert_same_optimizers(run.optimizer, optimizer)


def test_a_schedule_moves_the_rate_of_each_route_from_its_own_start() -> None:
    run = Run.new(KellerJordan)
    rates = rates_of(run.optimizer.optimizer)
    run.train()
    expected = list(zip(on_cosine(LR), on_cosine(3e-4), strict=True))
    assert rates == [pytest.approx(each, rel=1e-9) for each in expected]


@formats
@pytest.mark.parametrize("kind", [Moonlight, Nanochat], ids=lambda kind: kind.__name__)
def test_a_run_from_its_checkpoint_ends_as_the_run_without_interruption(
    kind: type[SpecOptimizer], mixed_precision: str, tmp_path: Path
) -> None:
    """The checkpoint is from the middle of a shuffled epoch."""
    whole = Run.new(kind, mixed_precision, shuffle=True)
    whole.train()
    forget()
    begun = Run.new(kind, mixed_precision, shuffle=True)
    begun.train(last=HALF)
    begun.accelerator.save_state(str(tmp_path))
    forget()
    resumed = Run.new(kind, mixed_precision, seed=1, shuffle=True)
    resumed.accelerator.load_state(str(tmp_path))
    resumed.train(first=HALF)
    assert_same_parameters(resumed.model, whole.model)
    assert_same_optimizers(resumed.optimizer, whole.optimizer)
    assert resumed.scheduler.state_dict() == whole.scheduler.state_dict()


def test_the_checkpoint_is_that_of_the_class(tmp_path: Path) -> None:
    """So that a run may go on without Accelerate."""
    run = Run.new(Moonlight)
    run.train(last=HALF)
    run.accelerator.save_state(str(tmp_path))
    optimizer = Moonlight(new_model().named_parameters())
    optimizer.load_state_dict(torch.load(tmp_path / "optimizer.bin", weights_only=True))
    assert_same_optimizers(optimizer, run.optimizer)


def test_a_checkpoint_of_another_spec_is_refused(tmp_path: Path) -> None:
    run = Run.new(KellerJordan)
    run.train(last=ACCUMULATED)
    run.accelerator.save_state(str(tmp_path))
    forget()
    other = Run.new(Moonlight)
    with pytest.raises(ValueError, match="written by another spec"):
        other.accelerator.load_state(str(tmp_path))
    assert not other.optimizer.state


def test_preparing_changes_nothing_of_an_optimizer_that_has_stepped() -> None:
    """`prepare` loads the optimizer's own checkpoint. The second moment of a bf16 matrix is fp32 and stays so."""
    model = new_model().bfloat16()
    optimizer = Nanochat(model.named_parameters(), lr=LR)
    plain_loop(model, optimizer, batches()[:HALF])
    moments = [state["second_momentum_buffer"] for state in optimizer.state.values() if len(state) == 2]
    assert moments
    assert all(not torch.equal(moment, moment.bfloat16().float()) for moment in moments)
    other = new_model().bfloat16()
    other.load_state_dict(model.state_dict())
    prepared = Nanochat(other.named_parameters(), lr=LR)
    prepared.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    other, prepared = Accelerator(cpu=True).prepare(other, prepared)
    assert_same_optimizers(prepared, optimizer)
    for each, its in ((model, optimizer), (other, prepared)):
        plain_loop(each, its, batches()[HALF:])
    assert_same_parameters(other, model)
