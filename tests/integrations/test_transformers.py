"""The Trainer of transformers: every way to give it the optimizer, on a small Llama, against the plain loop."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import Module
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import Dataset
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments

import muondsl
from generated.keller_jordan import KellerJordan
from generated.moonlight import Moonlight
from generated.nanochat import Nanochat
from muondsl.runtime import SpecOptimizer
from tests.integrations.training import (
    ACCUMULATED,
    BATCH_SIZE,
    CLIP,
    LR,
    SHAPE,
    STEPS,
    assert_learnt,
    assert_same_optimizers,
    assert_same_parameters,
    plain_loop,
    rates_of,
    windows,
)
from tests.parity.trajectories import SPECS

WARMUP = 3
TARGETS = ACCUMULATED * BATCH_SIZE * (SHAPE.context - 1)
"""Bytes that are predicted in a step."""

formats = pytest.mark.parametrize("dtype", [None, torch.bfloat16], ids=["fp32", "bf16"])
Kind = type[SpecOptimizer]


class Texts(Dataset[dict[str, Tensor]]):
    """The windows of all steps, as a model for causal language takes them."""

    def __len__(self) -> int:
        return len(windows())

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        tokens, _ = windows()[index]
        return {"input_ids": tokens, "labels": tokens}


def new_llama(seed: int = 0) -> LlamaForCausalLM:
    torch.manual_seed(seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=256,
            hidden_size=SHAPE.width,
            intermediate_size=2 * SHAPE.width,
            num_hidden_layers=SHAPE.n_layers,
            num_attention_heads=SHAPE.n_heads,
            max_position_embeddings=SHAPE.context,
        )
    )


def arguments(folder: Path, dtype: torch.dtype | None = None, **options: Any) -> TrainingArguments:
    return TrainingArguments(
        folder,
        max_steps=STEPS,
        per_device_train_batch_size=BATCH_SIZE,
        gradient_accumulation_steps=ACCUMULATED,
        max_grad_norm=CLIP,
        lr_scheduler_type="cosine",
        warmup_steps=WARMUP,
        bf16=dtype is torch.bfloat16,
        logging_steps=1,
        use_cpu=True,
        disable_tqdm=True,
        report_to="none",
        **{"save_strategy": "no", "train_sampling_strategy": "sequential", **options},
    )


def factor(step: int) -> float:
    """The cosine with warmup."""
    if step < WARMUP:
        return step / WARMUP
    return 0.5 * (1 + math.cos(math.pi * (step - WARMUP) / (STEPS - WARMUP)))


def loss_of(model: Module, batch: Tensor) -> Tensor:
    loss: Tensor = model(input_ids=batch, labels=batch, num_items_in_batch=TARGETS).loss
    return loss


@cache
def plainly_trained(
    build: Callable[[LlamaForCausalLM], Optimizer], dtype: torch.dtype | None = None
) -> tuple[LlamaForCausalLM, Optimizer]:
    model = new_llama()
    optimizer = build(model)
    data = torch.stack([tokens for tokens, _ in windows()]).split(BATCH_SIZE)
    plain_loop(model, optimizer, data, LambdaLR(optimizer, factor), loss_of=loss_of, dtype=dtype)
    return model, optimizer


def moonlight(model: Module, lr: float = LR) -> Moonlight:
    return Moonlight(model.named_parameters(), lr=lr)


class WithNames(Trainer):
    def create_optimizer(self, model: Module | None = None) -> Optimizer:
        self.optimizer = moonlight(self.model if model is None else model)
        return self.optimizer


def in_groups(model: Module) -> Moonlight:
    """The division of a Llama's parameters by the kinds of modules and not by names."""
    others = [each.weight for each in model.modules() if isinstance(each, torch.nn.Embedding)]
    others += [model.lm_head.weight, *(each for each in model.parameters() if each.ndim < 2)]
    matrices = [each for each in model.parameters() if all(each is not other for other in others)]
    return Moonlight([{"params": matrices, "route": "matrix"}, {"params": others, "route": "otherwise"}], lr=LR)


class WithGroups(Trainer):
    def create_optimizer(self, model: Module | None = None) -> Optimizer:
        self.optimizer = in_groups(self.model if model is None else model)
        return self.optimizer


def through_optimizers(model: LlamaForCausalLM, **options: Any) -> Trainer:
    return Trainer(model, optimizers=(moonlight(model), None), **options)


def through_parameters(model: LlamaForCausalLM, **options: Any) -> Trainer:
    named = {"params": list(model.named_parameters()), "lr": LR}
    return Trainer(model, optimizer_cls_and_kwargs=(Moonlight, named), **options)


def through_a_factory(model: LlamaForCausalLM, **options: Any) -> Trainer:
    return Trainer(model, optimizer_cls_and_kwargs=(lambda: moonlight, {"lr": LR}), **options)


WAYS = {
    "optimizers": through_optimizers,
    "parameters": through_parameters,
    "factory": through_a_factory,
    "create_optimizer": WithNames,
    "groups": WithGroups,
}


def behind(trainer: Trainer) -> SpecOptimizer:
    """The optimizer in the wrapper of Accelerate."""
    optimizer = trainer.optimizer.optimizer
    assert isinstance(optimizer, SpecOptimizer)
    return optimizer


def losses_of(trainer: Trainer) -> list[float]:
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


@pytest.mark.parametrize("way", WAYS)
def test_it_trains_as_the_plain_loop(way: str, tmp_path: Path) -> None:
    trainer = WAYS[way](new_llama(), args=arguments(tmp_path), train_dataset=Texts())
    trainer.train()
    assert_learnt(losses_of(trainer))
    model, optimizer = plainly_trained(in_groups)
    assert_same_parameters(trainer.model, model)
    if way == "groups":
        assert_same_optimizers(behind(trainer), optimizer)


def test_autocast_trains_as_the_plain_loop(tmp_path: Path) -> None:
    trainer = WithNames(new_llama(), args=arguments(tmp_path, torch.bfloat16), train_dataset=Texts())
    trainer.train()
    assert_learnt(losses_of(trainer))
    model, _ = plainly_trained(in_groups, torch.bfloat16)
    assert_same_parameters(trainer.model, model)


def test_a_schedule_moves_the_rate_of_each_route_from_its_own_start(tmp_path: Path) -> None:
    model = new_llama()
    optimizer = KellerJordan(model.named_parameters(), lr=LR)
    rates = rates_of(optimizer)
    trainer = Trainer(model, arguments(tmp_path), train_dataset=Texts(), optimizers=(optimizer, None))
    trainer.train()
    assert rates == [pytest.approx((LR * factor(step), 3e-4 * factor(step)), rel=1e-9) for step in range(STEPS)]
    logged = [entry["learning_rate"] for entry in trainer.state.log_history if "learning_rate" in entry]
    assert logged == pytest.approx([LR * factor(step) for step in range(STEPS)], rel=1e-9)


@formats
@pytest.mark.parametrize("kind", [Moonlight, Nanochat], ids=lambda kind: kind.__name__)
def test_a_run_from_its_checkpoint_ends_as_the_run_without_interruption(
    kind: Kind, dtype: torch.dtype | None, tmp_path: Path
) -> None:
    """The checkpoint is from the middle of a shuffled epoch."""

    def trained(seed: int, checkpoint: str | None = None) -> Trainer:
        model = new_llama(seed)
        options = arguments(
            tmp_path, dtype, save_strategy="steps", save_steps=STEPS // 2, train_sampling_strategy="random"
        )
        optimizer = kind(model.named_parameters(), lr=LR)
        trainer = Trainer(model, options, train_dataset=Texts(), optimizers=(optimizer, None))
        trainer.train(resume_from_checkpoint=checkpoint)
        return trainer

    whole = trained(0)
    resumed = trained(1, str(tmp_path / f"checkpoint-{STEPS // 2}"))
    assert_same_parameters(resumed.model, whole.model)
    assert_same_optimizers(behind(resumed), behind(whole))
    assert resumed.lr_scheduler.state_dict() == whole.lr_scheduler.state_dict()


def test_the_groups_that_the_trainer_makes_are_refused(tmp_path: Path) -> None:
    """They are those with and without decay, and have no names: nothing says which matrix is the embedding."""
    model = new_llama()
    trainer = Trainer(
        model, arguments(tmp_path), train_dataset=Texts(), optimizer_cls_and_kwargs=(Moonlight, {"lr": LR})
    )
    with pytest.raises(ValueError, match=r"pass model\.named_parameters\(\)"):
        trainer.train()
    assert trainer.optimizer is None
    assert_same_parameters(model, new_llama())


def test_a_spec_that_routes_by_shape_takes_the_groups_that_the_trainer_makes(tmp_path: Path) -> None:
    """With the weight decay of the arguments, which is 0 where they do not say."""
    text = (SPECS / "moonlight.muon").read_text("utf-8")
    roles = {"role(matrix, expert)": "ndim == 2", "role(embedding, head, norm, bias, vector)": "ndim < 2"}
    for condition, shapes in roles.items():
        assert condition in text
        text = text.replace(condition, shapes)
    by_shape = muondsl.load(text)
    trainer = Trainer(
        new_llama(),
        arguments(tmp_path, weight_decay=0.3),
        train_dataset=Texts(),
        optimizer_cls_and_kwargs=(by_shape, {"lr": LR}),
    )
    trainer.train()

    def build(model: Module) -> Optimizer:
        matrices, others = (
            [each for each in model.parameters() if (each.ndim == 2) is is_it] for is_it in (True, False)
        )
        return by_shape(
            [
                {"params": matrices, "route": "matrix", "weight_decay": 0.3},
                {"params": others, "route": "otherwise", "weight_decay": 0.0},
            ],
            lr=LR,
        )

    model, optimizer = plainly_trained(build)
    assert_same_parameters(trainer.model, model)
    assert_same_optimizers(behind(trainer), optimizer)
