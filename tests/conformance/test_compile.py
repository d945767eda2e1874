"""A training step under torch.compile: the optimizer's step runs outside of its graphs, and no hyper makes it compile
again.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.exc import Unsupported
from torch._dynamo.utils import counters
from torch.optim import lr_scheduler

from generated.moonlight import Moonlight
from generated.nanochat import Nanochat
from generated.torch_muon import TorchMuon
from muondsl.runtime import SpecOptimizer
from tests.runtime.subjects import Optimizer, assert_same, random

FEW: list[Optimizer] = [Moonlight, Nanochat, TorchMuon]
few_classes = pytest.mark.parametrize("kind", FEW, ids=lambda kind: kind.__name__)


@pytest.fixture(autouse=True)
def _compiled_anew() -> Iterator[None]:
    """Without graphs of other tests; any that is compiled a second time is an error."""
    torch._dynamo.reset()
    with torch._dynamo.config.patch(error_on_recompile=True):
        yield
    torch._dynamo.reset()


class Training:
    """A model with parameters on every route of the class, and its optimizer."""

    def __init__(self, kind: Optimizer, lr: float | Tensor = 0.01) -> None:
        torch.manual_seed(0)
        hidden = nn.Linear(4, 6, bias="otherwise" in kind.states)
        self.model = nn.Sequential(hidden, nn.Tanh(), nn.Linear(6, 4, bias=False))
        self.optimizer = kind.for_model(self.model, lr=lr)
        self.graphs: list[int] = []

    def loss(self, given: Tensor) -> Tensor:
        self.optimizer.zero_grad()
        loss: Tensor = self.model(given).square().mean()
        loss.backward()
        return loss

    def step(self, given: Tensor) -> Tensor:
        loss = self.loss(given)
        self.optimizer.step()
        return loss

    def step_with_closure(self, given: Tensor) -> Tensor:
        loss: Any = self.optimizer.step(lambda: self.loss(given))
        return loss

    def run(
        self, step: Callable[[Tensor], Tensor], change: Callable[[SpecOptimizer, int], None], steps: int = 50
    ) -> list[Tensor]:
        """The losses of all steps and the parameters behind them, with a schedule and `change` in between."""
        schedule = lr_scheduler.OneCycleLR(self.optimizer, max_lr=0.05, total_steps=steps + 1, cycle_momentum=False)
        losses = []
        for index in range(steps):
            change(self.optimizer, index)
            losses.append(step(random((8, 4), index)).detach())
            schedule.step()
            self.graphs.append(counters["frames"]["total"])
        return [*losses, *(each.detach() for each in self.model.parameters())]


def change_hypers(optimizer: SpecOptimizer, step: int) -> None:
    for group in optimizer.param_groups:
        group.update(momentum=0.85 + 0.001 * step, weight_decay=0.1 - 0.001 * step)


def change_tensors(optimizer: SpecOptimizer, step: int) -> None:
    for group in optimizer.param_groups:
        group.update(momentum=torch.tensor(0.85 + 0.001 * step), weight_decay=torch.tensor(0.1 - 0.001 * step))


WAYS: dict[str, tuple[float | Tensor, Callable[[SpecOptimizer, int], None]]] = {
    "floats": (0.01, change_hypers),
    "tensors": (torch.tensor(0.01), change_tensors),
}


@few_classes
@pytest.mark.parametrize("way", WAYS)
def test_fifty_steps_of_changing_hypers_compile_once(kind: Optimizer, way: str) -> None:
    lr, change = WAYS[way]
    plain, compiled = Training(kind, copy.copy(lr)), Training(kind, copy.copy(lr))
    expected = plain.run(plain.step, change)
    assert_same(compiled.run(torch.compile(compiled.step, backend="eager"), change), expected)
    assert len(set(compiled.graphs)) == 1
    # The frames between the breaks at zero_grad, backward and the optimizer's step, and nothing of the last.
    assert compiled.graphs[0] - plain.graphs[0] < 8


@pytest.mark.parametrize("what", ["step", "step_with_closure", "optimizer.step"])
def test_every_way_to_compile_a_step_is_as_the_plain_one(what: str) -> None:
    plain, compiled = Training(Moonlight), Training(Moonlight)
    expected = plain.run(plain.step, change_hypers, steps=5)

    def step(given: Tensor) -> Tensor:
        if what != "optimizer.step":
            return torch.compile(getattr(compiled, what), backend="eager")(given)
        loss = compiled.loss(given)
        torch.compile(compiled.optimizer.step, backend="eager")()
        return loss

    assert_same(compiled.run(step, change_hypers, steps=5), expected)
    assert len(set(compiled.graphs)) == 1


def test_optimizers_side_by_side_do_not_compile_for_each_other() -> None:
    first, second = Training(Moonlight), Training(TorchMuon)

    @torch.compile(backend="eager")
    def step() -> None:
        first.optimizer.step()
        second.optimizer.step()

    for index in range(5):
        for each in (first, second):
            each.loss(random((8, 4), index))
            change_hypers(each.optimizer, index)
        step()


def test_a_demand_for_one_graph_is_refused_with_the_reason() -> None:
    training = Training(Moonlight)
    training.loss(random((8, 4), 0))
    with pytest.raises(Unsupported, match="Moonlight steps outside of graphs"):
        torch.compile(lambda: training.optimizer.step(), backend="eager", fullgraph=True)()


@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)])
def test_a_model_compiled_for_the_cpu_trains_as_the_plain_one(
    backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    plain, compiled = Training(Moonlight), Training(Moonlight)
    expected = plain.run(plain.step, change_hypers)
    found = compiled.run(torch.compile(compiled.step, backend=backend), change_hypers)
    # Compiled code may round sums otherwise, by some 1e-7. Iterations in bf16 make of that a unit of theirs now and
    # then, 4e-3 of a step of at most 0.05 · 0.2 · √6.
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-3)
