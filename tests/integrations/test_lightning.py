"""Lightning's Trainer and Fabric train as the plain loop does, and their checkpoints continue bit for bit."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning_fabric import Fabric
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import (
    BackboneFinetuning,
    Callback,
    LearningRateMonitor,
    ModelCheckpoint,
    StochasticWeightAveraging,
)
from pytorch_lightning.loggers import CSVLogger
from torch import Tensor
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
    mean_loss,
    new_model,
    on_cosine,
    plain_loop,
    rates_of,
)

HALF = STEPS // 2
Kind = type[SpecOptimizer]


class Learner(LightningModule):
    def __init__(self, kind: Kind = Moonlight, seed: int = 0) -> None:
        super().__init__()
        self.model = new_model(seed)
        self.kind = kind
        self.losses: list[float] = []

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        loss = self.model.loss(*batch)
        self.losses.append(loss.item())
        return loss

    def configure_optimizers(self) -> Any:
        optimizer = self.kind(self.named_parameters(), lr=LR)
        self.rates = rates_of(optimizer)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": cosine(optimizer), "interval": "step"}}


def fitted(
    learner: Learner,
    folder: Path,
    *,
    callbacks: Sequence[Callback] = (),
    checkpoint: Path | None = None,
    **options: Any,
) -> SpecOptimizer:
    """The optimizer behind one epoch of training."""
    options = {"max_epochs": 1, "accumulate_grad_batches": ACCUMULATED, "gradient_clip_val": CLIP, **options}
    trainer = Trainer(
        accelerator="cpu",
        default_root_dir=folder,
        callbacks=list(callbacks),
        enable_checkpointing=any(isinstance(each, ModelCheckpoint) for each in callbacks),
        enable_progress_bar=False,
        enable_model_summary=False,
        **{"logger": False, **options},
    )
    # An epoch of two is half as long, so that there is a checkpoint between them in the middle of the training.
    members = Windows(STEPS // options["max_epochs"] * ACCUMULATED * BATCH_SIZE)
    loader = DataLoader(members, batch_size=BATCH_SIZE)
    trainer.fit(learner, loader, ckpt_path=checkpoint, weights_only=True)
    assert trainer.global_step == STEPS
    (optimizer,) = trainer.optimizers
    assert isinstance(optimizer, SpecOptimizer)
    return optimizer


@pytest.mark.parametrize("precision", ["32-true"])
def test_it_trains_as_the_plain_loop(precision: str, tmp_path: Path) -> None:
    learner = Learner()
    found = fitted(learner, tmp_path, precision=precision)
    assert_learnt([sum(learner.losses[at : at + ACCUMULATED]) / ACCUMULATED for at in range(0, 2 * STEPS, ACCUMULATED)])
    model = new_model()
    optimizer = Moonlight(((f"model.{name}", each) for name, each in model.named_parameters()), lr=LR)
    dtype = torch.bfloat16 if precision == "bf16-mixed" else None
    plain_loop(model, optimizer, batches(), cosine(optimizer), dtype=dtype, clip_in_groups=True)
    assert_same_parameters(learner.model, model)
    assert_same_optimizers(found, optimizer)


def test_a_schedule_moves_the_rate_of_each_route_from_its_own_start(tmp_path: Path) -> None:
    learner = Learner(KellerJordan)
    fitted(learner, tmp_path)
    expected = list(zip(on_cosine(LR), on_cosine(3e-4), strict=True))
    assert learner.rates == [pytest.approx(each, rel=1e-9) for each in expected]


@pytest.mark.parametrize(("kind", "precision"), [(Moonlight, "32-true"), (Nanochat, "bf16-true")])
def test_a_run_from_its_checkpoint_ends_as_the_run_without_interruption(
    kind: Kind, precision: str, tmp_path: Path
) -> None:
    whole, resumed = Learner(kind), Learner(kind, seed=1)
    keep = ModelCheckpoint(tmp_path, filename="{epoch}", save_top_k=-1, save_on_train_epoch_end=True)
    expected = fitted(whole, tmp_path, precision=precision, max_epochs=2, callbacks=[keep])
    found = fitted(resumed, tmp_path, precision=precision, max_epochs=2, checkpoint=tmp_path / "epoch=0.ckpt")
    assert len(resumed.losses) == len(whole.losses) // 2
    assert_same_parameters(resumed, whole)
    assert_same_optimizers(found, expected)


class ByHand(Learner):
    """Steps through what `optimizers()` returns."""

    automatic_optimization = False

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        optimizer, scheduler = self.optimizers(), self.lr_schedulers()
        assert isinstance(optimizer, Moonlight)
        self.manual_backward(mean_loss(self.model, batch))
        if index % ACCUMULATED == ACCUMULATED - 1:
            self.clip_gradients(optimizer, CLIP, "norm")
            with optimizer.toggle_model():
                optimizer.step()
            optimizer.zero_grad()
            scheduler.step()


def test_manual_optimization_trains_as_the_plain_loop(tmp_path: Path) -> None:
    learner = ByHand()
    fitted(learner, tmp_path, accumulate_grad_batches=1, gradient_clip_val=None)
    model = new_model()
    optimizer = Moonlight(model.named_parameters(), lr=LR)
    assert_learnt(plain_loop(model, optimizer, batches(), cosine(optimizer), clip_in_groups=True))
    assert_same_parameters(learner.model, model)


def test_the_monitor_of_rates_sees_both_routes(tmp_path: Path) -> None:
    monitor = LearningRateMonitor("step", log_momentum=True)
    fitted(Learner(KellerJordan), tmp_path, callbacks=[monitor], logger=CSVLogger(tmp_path), log_every_n_steps=1)
    # It looks at every batch.
    seen = [monitor.lrs[f"lr-KellerJordan/pg{number}"][::ACCUMULATED] for number in (1, 2)]
    assert seen == [pytest.approx(on_cosine(LR), rel=1e-9), pytest.approx(on_cosine(3e-4), rel=1e-9)]
    assert set(monitor.last_momentum_values.values()) == {0.95}


def test_averaging_of_weights_takes_a_rate_for_each_route(tmp_path: Path) -> None:
    averaging = StochasticWeightAveraging(swa_lrs=[1e-3, 1e-4], swa_epoch_start=1, annealing_epochs=1)
    optimizer = fitted(Learner(KellerJordan), tmp_path, max_epochs=4, callbacks=[averaging])
    assert [(group["route"], group["lr"]) for group in optimizer.param_groups] == [
        ("matrix", pytest.approx(1e-3)),
        ("otherwise", pytest.approx(1e-4)),
    ]


def test_finetuning_without_names_is_refused(tmp_path: Path) -> None:
    """Lightning adds groups of bare parameters, and nothing says which of them are embeddings or heads."""

    class Frozen(Learner):
        @property
        def backbone(self) -> torch.nn.Module:
            return self.model.blocks[0]

        def configure_optimizers(self) -> Any:
            return Moonlight((each for each in self.named_parameters() if each[1].requires_grad), lr=LR)

    finetuning = BackboneFinetuning(unfreeze_backbone_at_epoch=1)
    with pytest.raises(ValueError, match="may be embedding or head or matrix"):
        fitted(Frozen(), tmp_path, max_epochs=2, callbacks=[finetuning])


class Thaw(Callback):
    """The first block is frozen for an epoch."""

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        pl_module.model.blocks[0].requires_grad_(trainer.current_epoch > 0)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.current_epoch == 0:
            self.behind_the_first = copy.deepcopy(pl_module.model.blocks[0])


def test_a_frozen_block_is_left_alone_until_it_is_thawed(tmp_path: Path) -> None:
    learner, thaw = Learner(), Thaw()
    optimizer = fitted(learner, tmp_path, max_epochs=2, callbacks=[thaw])
    start, block = new_model().blocks[0], learner.model.blocks[0]
    assert_same_parameters(thaw.behind_the_first, start)
    assert not any(
        torch.equal(ours, before) for ours, before in zip(block.parameters(), start.parameters(), strict=True)
    )
    assert optimizer.state[block.attention_norm.weight]["step"] == STEPS // 2
    assert optimizer.state[learner.model.norm.weight]["step"] == STEPS


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_fabric_trains_as_the_plain_loop_and_continues_from_its_checkpoint(precision: str, tmp_path: Path) -> None:
    data = batches()
    fabric = Fabric(accelerator="cpu", devices=1, precision=precision)

    def begin(seed: int) -> tuple[Any, Any]:
        model = new_model(seed)
        return fabric.setup(model, Moonlight(model.named_parameters(), lr=LR))

    def advance(model: Any, optimizer: Any, some: Sequence[Any]) -> list[float]:
        losses = []
        for at, (inputs, targets) in enumerate(some):
            loss = torch.nn.functional.cross_entropy(model(inputs).flatten(0, 1), targets.flatten()) / ACCUMULATED
            fabric.backward(loss)
            losses.append(ACCUMULATED * loss.item())
            if at % ACCUMULATED == ACCUMULATED - 1:
                fabric.clip_gradients(model, optimizer, max_norm=CLIP)
                optimizer.step()
                optimizer.zero_grad()
        return losses

    model, optimizer = begin(0)
    assert isinstance(optimizer, Moonlight)
    losses = advance(model, optimizer, data[:STEPS])
    fabric.save(tmp_path / "half.ckpt", {"model": model, "optimizer": optimizer})
    losses += advance(model, optimizer, data[STEPS:])
    assert_learnt(losses)

    resumed, its = begin(1)
    fabric.load(tmp_path / "half.ckpt", {"model": resumed, "optimizer": its})
    advance(resumed, its, data[STEPS:])
    assert_same_parameters(resumed, model)
    assert_same_optimizers(its, optimizer)

    plain = new_model()
    plainly = Moonlight(plain.named_parameters(), lr=LR)
    plain_loop(plain, plainly, data, dtype=torch.bfloat16 if precision == "bf16-mixed" else None, clip_in_groups=True)
    assert_same_parameters(model.module, plain)
    assert_same_optimizers(optimizer, plainly)


def test_clipping_in_mixed_precision_is_refused_as_for_every_optimizer_that_unscales(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="does not allow for gradient clipping"):
        fitted(Learner(), tmp_path, precision="bf16-mixed")
