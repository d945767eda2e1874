"""Generated code against the oracle on random specs: sharing, in-place work, names and views keep the meaning."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from muondsl.interface import load, pipeline
from muondsl.ir.interpreter import initial_state, interpret
from muondsl.pipeline import Options
from tests.emit.random_specs import SpecWriter

SHAPES = ((5, 5), (7, 3), (3, 7), (1, 4), (4, 1))
STEPS = 3


def movement_errors(text: str, numerics: str) -> dict[tuple[int, int], float]:
    """Relative errors of parameter and states after a few steps in float64, by shape."""
    program = pipeline(text, Options()).program().matrix
    optimizer_class = load(text, numerics=numerics, precision="fp64")
    errors = {}
    for shape in SHAPES:
        generator = torch.Generator().manual_seed(sum(shape))
        tensors = [torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(STEPS + 1)]
        parameter = tensors[0].clone().requires_grad_()
        optimizer = optimizer_class([parameter])
        hypers = {hyper.name: optimizer.param_groups[0][hyper.name] for hyper in optimizer.hypers}
        exact = {"parameter": tensors[0], **initial_state(program, tensors[0], tensors[1])}
        for index, gradient in enumerate(tensors[1:]):
            parameter.grad = gradient.clone()
            optimizer.step()
            assert torch.equal(parameter.grad, gradient), "the gradient was changed"
            exact = interpret(program, exact["parameter"], gradient, exact, hypers, index + 1)
        found = {"parameter": parameter.detach(), **optimizer.state[parameter]}
        errors[shape] = max(relative(found[name], exact[name]) for name in exact)
    return errors


def relative(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).norm() / (expected.norm() + 1e-30))


def check_seeds(seeds: range) -> None:
    for seed in seeds:
        text = SpecWriter(seed).text()
        for numerics in ("faithful", "fast"):
            for shape, error in movement_errors(text, numerics).items():
                assert error < 1e-9, f"seed {seed}, {numerics}, {shape}: {error:.1e}\n{text}"


@pytest.mark.parametrize("start", range(0, 60, 10))
def test_generated_code_does_what_the_oracle_does(start: int) -> None:
    check_seeds(range(start, start + 10))


@pytest.mark.slow
@pytest.mark.parametrize("start", range(1000, 1600, 50))
def test_generated_code_does_what_the_oracle_does_on_many_more(start: int) -> None:
    check_seeds(range(start, start + 50))
