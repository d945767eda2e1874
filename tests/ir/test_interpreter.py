"""The oracle against formulas written out in numpy-like torch, so that what decides is itself decided by something."""

from __future__ import annotations

import pytest
import torch

from muondsl.interface import pipeline
from muondsl.ir.interpreter import initial_state, interpret
from muondsl.pipeline import Options

HEAD = "optimizer Probe\nhyper lr = 0.5\n"


def update_of(block: str, gradient: torch.Tensor) -> torch.Tensor:
    """What an `adapt` block makes of the gradient: with a parameter of zeros it is all that moves."""
    program = pipeline(f"{HEAD}adapt {{\n{block}\n}}\n", Options()).program().matrix
    parameter = torch.zeros_like(gradient)
    found = interpret(program, parameter, gradient, initial_state(program, parameter, gradient), {"lr": 0.5}, 3)
    return found["parameter"] / -0.5


def polar(matrix: torch.Tensor) -> torch.Tensor:
    """U Vᵀ by way of the eigenvectors of the smaller product of the matrix with itself."""
    if matrix.shape[0] < matrix.shape[1]:
        return polar(matrix.T).T
    values, vectors = torch.linalg.eigh(matrix.T @ matrix)
    return matrix @ vectors @ torch.diag(values**-0.5) @ vectors.T


EXPRESSIONS = {
    "update + 2*update": lambda g: 3 * g,
    "update - parameter": lambda g: g,
    "-update ** 2": lambda g: -(g**2),
    "update / norm(update)": lambda g: g / g.flatten().dot(g.flatten()) ** 0.5,
    "update * sum(update)": lambda g: g * g.sum(),
    "update * mean(update, over = cols)": lambda g: g * g.mean(1, keepdim=True),
    "update * mean(update, over = rows)": lambda g: g * g.mean(0, keepdim=True),
    "update * max(update, over = short)": lambda g: g * g.amax(1 if g.shape[0] >= g.shape[1] else 0, keepdim=True),
    "update * norm(update, over = long)": lambda g: g * g.norm(dim=0 if g.shape[0] >= g.shape[1] else 1, keepdim=True),
    "update * min(update)": lambda g: g * g.min(),
    "update @ update' @ update": lambda g: g @ g.T @ g,
    "if update > 0 then update else 0.1*update": lambda g: torch.where(g > 0, g, 0.1 * g),
    "if rows > cols then update else -update": lambda g: g if g.shape[0] > g.shape[1] else -g,
    "if step == 3 then 2*update else update": lambda g: 2 * g,
    "if not (update > 0 and update < 1) or update == 5 then update else 0": lambda g: torch.where(
        ~((g > 0) & (g < 1)), g, 0
    ),
    "max(update, -0.5, parameter)": lambda g: g.clamp(min=0),
    "min(update, 0.25)": lambda g: g.clamp(max=0.25),
    "lerp(update, 2*update, 0.75)": lambda g: 1.75 * g,
    "sign(update) * sqrt(abs(update))": lambda g: g.sign() * g.abs() ** 0.5,
    "exp(tanh(update)) * log(2 + abs(update)) * floor(3*update)": lambda g: (
        g.tanh().exp() * (2 + g.abs()).log() * (3 * g).floor()
    ),
    "svd(update)[0] @ svd(update)[2]": lambda g: polar(g),
    "update * max(svd(update)[1])": lambda g: g * torch.linalg.matrix_norm(g, ord=2),
    "update @ identity(update' @ update) * 2": lambda g: 2 * g,
    "update * trace(update @ update')": lambda g: g * g.square().sum(),
    "solve_lower(update @ update' + identity(update @ update'), update)": lambda g: (
        torch.linalg.inv(torch.tril(g @ g.T) + torch.eye(len(g), dtype=g.dtype)) @ g
    ),
    "update * quantile(update, 0.9)": lambda g: g * torch.quantile(g, 0.9),
    "update * quantile(update, 1)": lambda g: g * g.max(),
    "update * quantile(norm(update, over = cols), 1 / step)": lambda g: g * torch.quantile(g.norm(dim=1), 1 / 3),
    "oriented(oriented(update) * norm(oriented(update), over = first))": lambda g: (
        g * g.norm(dim=1 if g.shape[0] > g.shape[1] else 0, keepdim=True)
    ),
    "oriented(oriented(update) * norm(oriented(update), over = last))": lambda g: (
        g * g.norm(dim=0 if g.shape[0] > g.shape[1] else 1, keepdim=True)
    ),
    "update * sum(abs(update @ update'), over = last)": lambda g: g * (g @ g.T).abs().sum(1, keepdim=True),
    "update * max(update, over = first)": lambda g: g * g.amax(0, keepdim=True),
    "update * (rows / cols + fan_in - fan_out + numel)": lambda g: (
        g * (g.shape[0] / g.shape[1] + g.shape[1] - g.shape[0] + g.numel())
    ),
}


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4)], ids=str)
@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_means_its_formula(expression: str, shape: tuple[int, int]) -> None:
    gradient = torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    expected = EXPRESSIONS[expression](gradient)
    torch.testing.assert_close(update_of(f"update <- {expression}", gradient), expected, rtol=1e-12, atol=1e-12)


def test_states_begin_as_declared_and_are_stored() -> None:
    text = f"""{HEAD}momentum {{
  state average[long]: fp32 = 0.5
  state first = gradient
  average <- lerp(average, mean(update, over = short), 0.5)
  first <- first + update
  update <- first * average
}}
"""
    program = pipeline(text, Options()).program().matrix
    for shape, dim in (((4, 2), 1), ((2, 4), 0)):
        gradient = torch.randn(shape, dtype=torch.float64)
        start = initial_state(program, gradient, gradient)
        assert torch.equal(start["first"], gradient)
        found = interpret(program, torch.zeros_like(gradient), gradient, start, {"lr": 1.0}, 1)
        average = 0.25 + 0.5 * gradient.mean(dim, keepdim=True)
        torch.testing.assert_close(found["average"], average)
        torch.testing.assert_close(found["parameter"], -2 * gradient * average)
