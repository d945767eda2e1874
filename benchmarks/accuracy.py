"""How exact the iteration of generated classes is on this CPU, beside torch.optim.Muon's and the bar for every form."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from benchmarks.parameter_sets import Shape
from benchmarks.spectra import SPECTRA, matrix
from benchmarks.text_table import text_table
from generated import polar_express, torch_muon
from muondsl.runtime.choose_products import choose_products
from muondsl.runtime.forms import Coefficients
from muondsl.runtime.iteration import Iteration
from muondsl.runtime.torch_iteration import iterated

ITERATIONS: dict[str, Iteration] = {
    "keller_jordan": torch_muon.TorchMuon.iterations["matrix"][0],
    "polar_express": polar_express.PolarExpress.iterations["matrix"][0],
}
SHAPES: list[Shape] = [(768, 3072), (768, 768)]


class Errors(NamedTuple):
    """Of the matrix relative to its norm, and of the worst singular value."""

    matrix: float
    singular_value: float

    def is_within(self, limit: Errors) -> bool:
        return self.matrix <= limit.matrix and self.singular_value <= limit.singular_value


def errors(found: Tensor, expected: Tensor) -> Errors:
    worst = (torch.linalg.svdvals(found.double()) - torch.linalg.svdvals(expected)).abs().max()
    return Errors(float((found - expected).norm() / expected.norm()), float(worst))


def bar(of_torch: Errors) -> Errors:
    """What a form is allowed, by the errors of torch.optim.Muon."""
    return Errors(1.25 * of_torch.matrix + 0.005, 1.5 * of_torch.singular_value + 0.005)


def exact(x: Tensor, coefficients: Sequence[Coefficients]) -> Tensor:
    for a, b, c in coefficients:
        s = x @ x.mT
        x = a * x + (b * s + c * s @ s) @ x
    return x


def step_by_step(x: Tensor, coefficients: Sequence[Coefficients]) -> Tensor:
    """As torch.optim.Muon computes it, in the format of x."""
    for a, b, c in coefficients:
        s = x @ x.mT
        x = torch.addmm(x, torch.addmm(s, s, s, beta=b, alpha=c), x, beta=a)
    return x


@dataclass(frozen=True)
class Accuracy:
    """`form` is the one that is chosen on this CPU."""

    coefficients: str
    shape: Shape
    spectrum: str
    form: str
    of_torch: Errors
    of_generated: Errors

    @property
    def limit(self) -> Errors:
        return bar(self.of_torch)


def measure(shapes: Sequence[Shape] = SHAPES, *, progress: Callable[[str], None]) -> list[Accuracy]:
    found = []
    for shape in shapes:
        for spectrum in SPECTRA:
            progress(f"{shape[0]} × {shape[1]}, {spectrum}")
            x = matrix(*shape, spectrum).bfloat16()
            for name, iteration in ITERATIONS.items():
                expected = exact(x.double(), iteration.coefficients)
                of_torch = errors(step_by_step(x, iteration.coefficients), expected)
                form = choose_products(iteration, *shape, x.dtype, x.device).form
                found.append(Accuracy(name, shape, spectrum, form, of_torch, errors(iterated(iteration, x), expected)))
    return found


def table(found: Sequence[Accuracy]) -> Iterator[str]:
    heading = ("", "form", "matrix: torch", "generated", "bar", "singular value: torch", "generated", "bar", "")
    rows = []
    for each in sorted(found, key=lambda one: (one.coefficients, one.shape)):
        pairs = zip(each.of_torch, each.of_generated, each.limit, strict=True)
        name = f"{each.coefficients}, {each.shape[0]} × {each.shape[1]}, {each.spectrum}"
        verdict = "within" if each.of_generated.is_within(each.limit) else "NOT WITHIN"
        rows.append((name, each.form, *(f"{number:.4f}" for pair in pairs for number in pair), verdict))
    yield from text_table(heading, rows)
