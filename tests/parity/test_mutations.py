"""Every coefficient, sign and stage of TorchMuon matters: change one, and the bits are no longer torch.optim.Muon's."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from muondsl.interface import load, pipeline
from muondsl.lower import fingerprint
from muondsl.pipeline import Options

WRITTEN_OUT = """
optimizer TorchMuon
hyper lr           = 1e-3 in [0, inf)
hyper weight_decay = 0.1  in [0, inf)
hyper momentum     = 0.95 in [0, inf)

momentum {
  state momentum_buffer = zeros
  momentum_buffer <- lerp(momentum_buffer, update, 1 - momentum)
  update <- lerp(update, momentum_buffer, momentum)
}
orthogonalize {
  in bf16 {
    let size = max(norm(update), 1e-7)
    update <- update / size
    for (a, b, c) in take([(3.4445, -4.7750, 2.0315)], 5) {
      let s = update @ update'
      let polynomial = b*s + c*(s @ s)
      update <- a*update + polynomial @ update
    }
  }
}
scale sqrt(max(1, rows / cols))
decay {
  parameter <- parameter * (1 - lr*weight_decay)
}
"""

MUTATIONS = {
    "coefficient a": ("3.4445", "3.46"),
    "coefficient b": ("4.7750", "4.80"),
    "coefficient c": ("2.0315", "2.05"),
    "sign of a": ("(3.4445", "(-3.4445"),
    "sign of b": ("-4.7750", "4.7750"),
    "sign of c": ("2.0315", "-2.0315"),
    "number of steps": ("], 5)", "], 6)"),
    "the epsilon": ("1e-7", "1e-6"),
    "bounding the norm": ("max(norm(update), 1e-7)", "norm(update) + 1e-7"),
    "the normalisation": ("update <- update / size", "update <- update / (8 + 0*size)"),
    "the number format": ("in bf16", "in fp32"),
    "the sum of the polynomial": ("b*s + c*(s @ s)", "b*s - c*(s @ s)"),
    "the product of the step": ("a*update + polynomial", "a*update - polynomial"),
    "the weight of the average": ("1 - momentum)", "1 - momentum*momentum)"),
    "the sign of the weight": ("1 - momentum)", "1 + momentum)"),
    "the ends of the average": ("lerp(momentum_buffer, update, 1", "lerp(update, momentum_buffer, 1"),
    "Nesterov's weight": ("momentum_buffer, momentum)", "momentum_buffer, 1 - momentum)"),
    "Nesterov's ends": ("lerp(update, momentum_buffer, m", "lerp(momentum_buffer, update, m"),
    "Nesterov's step": ("update <- lerp(update, momentum_buffer, momentum)", "update <- momentum_buffer"),
    "the beginning of the state": ("= zeros", "= ones"),
    "the ratio of the scale": ("rows / cols", "cols / rows"),
    "the root of the scale": ("sqrt(max(1, rows / cols))", "max(1, rows / cols)"),
    "the bound of the scale": ("sqrt(max(1, rows / cols))", "sqrt(rows / cols)"),
    "the stage scale": ("scale sqrt(max(1, rows / cols))", ""),
    "the sign of the decay": ("1 - lr*weight_decay", "1 + lr*weight_decay"),
    "the decay by the learning rate": ("lr*weight_decay", "weight_decay"),
    "the decay by the scaled learning rate": ("lr*weight_decay", "lr*weight_decay*scale"),
    "the operand of the decay": ("parameter <- parameter * (1", "parameter <- parameter * 1 - gradient * (1"),
}
STAGES = {
    "momentum": WRITTEN_OUT[WRITTEN_OUT.index("momentum {") : WRITTEN_OUT.index("orthogonalize {")],
    "orthogonalize": WRITTEN_OUT[WRITTEN_OUT.index("orthogonalize {") : WRITTEN_OUT.index("scale sqrt")],
    "decay": WRITTEN_OUT[WRITTEN_OUT.index("decay {") :],
}
HYPERS = {
    "momentum": "hyper momentum     = 0.95 in [0, inf)\n",
    "decay": "hyper weight_decay = 0.1  in [0, inf)\n",
}
SPEC = Path("specs/torch_muon.muon").read_text("utf-8")
SPEC_MUTATIONS = {
    "the momentum rule": ("nesterov(beta = momentum)", "nesterov_heavy_ball(beta = momentum)"),
    "Nesterov's step": ("nesterov(beta = momentum)", "ema(beta = momentum)"),
    "the coefficient of momentum": ("nesterov(beta = momentum)", "nesterov(beta = momentum * momentum)"),
    "the orthogonalizer": (
        "newton_schulz(steps = 5, coefficients = keller_jordan, eps = 1e-7, clamped = true)",
        "polar_express()",
    ),
    "the steps": ("(steps = 5", "(steps = 4"),
    "the coefficients": ("coefficients = keller_jordan", "coefficients = polar_express_nanochat"),
    "the epsilon": ("eps = 1e-7, clamped", "eps = 1e-6, clamped"),
    "how the epsilon acts": ("clamped = true", "clamped = false"),
    "the ratio": ("sqrt(max(1, rows / cols))", "sqrt(max(1, cols / rows))"),
    "the rule of the scale": ("sqrt(max(1, rows / cols))", "0.2 * sqrt(max(rows, cols))"),
    "the decay": ("decoupled(weight_decay)", "decoupled(2*weight_decay)"),
    "the rule of the decay": ("decoupled(weight_decay)", "cautious(weight_decay)"),
}

SHAPES = ((64, 64), (96, 32), (32, 96), (1, 48))
SIZES = (1.0, 1e-7)
"""Sizes of gradients: the epsilon shows only where they are tiny."""


def differs(text: str) -> bool:
    """Whether 5 faithful steps differ in a bit from torch.optim.Muon's, at any shape and size."""
    optimizer_class = load(text, numerics="faithful")
    for shape in SHAPES:
        for size in SIZES:
            generator = torch.Generator().manual_seed(sum(shape))
            start = torch.randn(shape, generator=generator)
            ours, theirs = start.clone().requires_grad_(), start.clone().requires_grad_()
            pair = (optimizer_class([ours], lr=0.1), torch.optim.Muon([theirs], lr=0.1))
            for step in range(5):
                gradient = size * torch.randn(shape, generator=generator)
                for parameter, optimizer in zip((ours, theirs), pair, strict=True):
                    parameter.grad = gradient.clone()
                    optimizer.param_groups[0]["lr"] = 0.1 * (1 + math.cos(step)) / 2
                    optimizer.step()
            if not torch.equal(ours, theirs):
                return True
    return False


def test_the_spec_written_out_is_torch_muon() -> None:
    assert not differs(WRITTEN_OUT)


def test_the_spec_written_out_is_the_spec_with_its_rules() -> None:
    """So that a mutation here is one of `specs/torch_muon.muon` or of a rule that it uses."""
    both = (pipeline(text, Options()).checked() for text in (WRITTEN_OUT, SPEC))
    assert len({fingerprint(spec) for spec in both}) == 1


@pytest.mark.parametrize("name", SPEC_MUTATIONS)
def test_a_mutation_of_the_spec_is_seen(name: str) -> None:
    old, new = SPEC_MUTATIONS[name]
    assert SPEC.count(old) == 1
    assert differs(SPEC.replace(old, new))


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_mutation_is_seen(name: str) -> None:
    old, new = MUTATIONS[name]
    assert WRITTEN_OUT.count(old) == 1
    assert differs(WRITTEN_OUT.replace(old, new))


@pytest.mark.parametrize("stage", STAGES)
def test_a_removed_stage_is_seen(stage: str) -> None:
    assert differs(WRITTEN_OUT.replace(STAGES[stage], "").replace(HYPERS.get(stage, "\0"), ""))
