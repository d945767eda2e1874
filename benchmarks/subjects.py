"""Who steps: classes generated here, torch.optim.Muon, the same mathematics under torch.compile, and whatever else is
installed.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

import muondsl
from benchmarks.parameter_sets import Shape
from muondsl.optimize import Numerics
from muondsl.runtime.side_by_side import Task, side_by_side

REFERENCE = "torch.optim.Muon"
BARE = "bare products"
COMPILED = "torch.compile"
SPECS = Path(__file__).parent.parent / "specs"
KELLER_JORDAN = (3.4445, -4.7750, 2.0315)
Step = Callable[[], object]


@dataclass(frozen=True)
class Subject:
    """`make` is given parameters that have gradients, and yields what takes a step. `same_as` names the subject whose
    parameters must be equal to the last bit after a step.
    """

    name: str
    make: Callable[[list[Parameter]], Step]
    same_as: str = ""


def parameters(shapes: Sequence[Shape]) -> list[Parameter]:
    """The same numbers for everybody."""
    generator = torch.Generator().manual_seed(0)
    made = [Parameter(0.02 * torch.randn(shape, generator=generator)) for shape in shapes]
    for each in made:
        each.grad = torch.randn(each.shape, generator=generator)
    return made


def with_gradients(step: Step, members: Sequence[Parameter]) -> Step:
    """A step that finds the gradients in their place, which some optimizers take away."""
    gradients = [each.grad for each in members]

    def repeatable() -> None:
        for each, gradient in zip(members, gradients, strict=True):
            each.grad = gradient
        step()

    return repeatable


def problem_of(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"


def spec(name: str, numerics: Numerics = "fast") -> Callable[[list[Parameter]], Step]:
    def make(members: list[Parameter]) -> Step:
        kind: Any = muondsl.load(SPECS / f"{name}.muon", numerics=numerics)
        step: Step = kind([{"params": members, "route": "matrix"}], lr=1e-3).step
        return step

    return make


def reference(members: list[Parameter]) -> Step:
    return torch.optim.Muon(members, lr=1e-3).step


def compiled(members: list[Parameter]) -> Step:
    """torch.optim.Muon's mathematics written plainly, one matrix at a time, compiled by torch for every shape."""
    momenta = [torch.zeros_like(each) for each in members]
    update = torch.compile(_plain, dynamic=False)

    def step() -> None:
        with torch.no_grad():
            for parameter, momentum in zip(members, momenta, strict=True):
                assert parameter.grad is not None
                update(parameter, parameter.grad, momentum)

    return step


def _plain(parameter: Tensor, gradient: Tensor, momentum: Tensor) -> None:
    momentum.lerp_(gradient, 0.05)
    update = gradient.lerp(momentum, 0.95).bfloat16()
    x = update.mT if update.shape[0] > update.shape[1] else update
    x = x / x.norm().clamp(min=1e-7)
    a, b, c = KELLER_JORDAN
    for _ in range(5):
        s = x @ x.mT
        x = a * x + (b * s + c * s @ s) @ x
    x = x.mT if update.shape[0] > update.shape[1] else x
    parameter.mul_(1 - 1e-3 * 0.1).sub_(1e-3 * max(1, update.shape[0] / update.shape[1]) ** 0.5 * x)


def bare_products(members: list[Parameter]) -> Step:
    """Nothing but the products of five steps, in bf16 and as many threads: what the usual method cannot do without."""
    tasks = []
    for each in members:
        short, long = sorted(each.shape)
        panel, square = (torch.randn(sizes).bfloat16() for sizes in ((short, long), (short, short)))
        outs = torch.empty_like(square), torch.empty_like(square), torch.empty_like(panel)
        tasks.append(Task(short * each.numel(), partial(_five_steps, panel, square, outs)))
    return partial(side_by_side, tasks)


def _five_steps(panel: Tensor, square: Tensor, outs: tuple[Tensor, Tensor, Tensor]) -> None:
    for _ in range(5):
        torch.mm(panel, panel.mT, out=outs[0])
        torch.mm(square, square, out=outs[1])
        torch.mm(square, panel, out=outs[2])


def optimuon(found: Any, members: list[Parameter]) -> Step:
    """Its defaults do more, in another format and by another polynomial: this is the usual method as it has it."""
    usual = {"ns_coefficients": KELLER_JORDAN, "ns_norm_scale": 1.0, "gram_ns": False, "normuon": False}
    step: Step = found.Muon(members, lr=1e-3, weight_decay=0.1, cautious_wd=False, **usual).step
    return step


OURS = (
    Subject("TorchMuon, fast", spec("torch_muon")),
    Subject("TorchMuon, faithful", spec("torch_muon", "faithful"), same_as=REFERENCE),
    Subject("Moonlight, fast", spec("moonlight")),
    Subject("Nanochat, fast", spec("nanochat")),
)
OTHERS = (
    Subject(REFERENCE, reference),
    Subject(COMPILED, compiled),
    Subject(BARE, bare_products),
)
PEERS: dict[str, Callable[[Any, list[Parameter]], Step]] = {
    "pytorch_optimizer": lambda found, members: found.Muon([{"params": members, "use_muon": True}], lr=1e-3).step,
    "timm.optim": lambda found, members: found.Muon(members, lr=1e-3).step,
    "muon": lambda found, members: found.SingleDeviceMuon(members, lr=1e-3).step,
    "heavyball": lambda found, members: found.Muon(members, lr=1e-3).step,
    "dion": lambda found, members: found.Muon(members, lr=1e-3, nesterov=True).step,
    "optimuon": optimuon,
}
"""Packages that have a Muon, by the module that has it."""


def subjects() -> list[Subject]:
    """All that can be had here."""
    return [*OTHERS, *OURS, *(Subject(name, partial(_peer, name)) for name in PEERS if _is_installed(name))]


def _is_installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def _peer(name: str, members: list[Parameter]) -> Step:
    return PEERS[name](importlib.import_module(name), members)
