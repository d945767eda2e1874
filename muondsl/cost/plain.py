"""The plain way: a step made of torch's operators, one parameter after the other, with dense products.

Matrices are stepped as by `torch.optim.Muon` (torch/optim/_muon.py, `_single_tensor_muon`), with as many steps as the
spec's iteration has, the others as by `torch.optim.AdamW(foreach=False)` (torch/optim/adam.py, `_single_tensor_adam`).
Every operator is one launch that reads its operands once and writes its result once. On a GPU `addmm` with a matrix for
its addend first copies that to the result (aten/src/ATen/native/cuda/Blas.cpp), which the dispatcher does not see.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from muondsl.cost.devices import Format
from muondsl.cost.population import ITEM_BYTES, Population
from muondsl.cost.work import Work

STEPS = 5
"""`ns_steps` of torch.optim.Muon, for a spec without an iteration."""

HIDDEN = "copy of addmm"


@dataclass(frozen=True, slots=True)
class Operator:
    """One call on one parameter. `is_hidden` marks what the dispatcher does not see."""

    name: str
    loaded: int
    stored: int
    flops: int
    format: Format = "fp32"
    is_product: bool = False
    is_hidden: bool = False


def muon(rows: int, cols: int, parameters: Format, steps: int = STEPS) -> Iterator[Operator]:
    """What torch.optim.Muon calls for a matrix. `n` and `s` are the elements of x and of x xᵀ, of two bytes each."""
    short, long = sorted((rows, cols))
    n, s, item = rows * cols, short * short, ITEM_BYTES[parameters]
    product = 2 * short * short * long
    yield Operator("lerp_", 2 * n * item, n * item, 3 * n)
    yield Operator("lerp", 2 * n * item, n * item, 3 * n)
    if parameters != "bf16":
        yield Operator("_to_copy", n * item, n * 2, 0)
    yield Operator("linalg_vector_norm", n * 2, 2, 2 * n)
    yield Operator("clamp", 2, 2, 1)
    yield Operator("div_", n * 2 + 2, n * 2, n)
    for _ in range(steps):
        yield Operator("mm", n * 2, s * 2, product, "bf16", is_product=True)
        yield Operator(HIDDEN, s * 2, s * 2, 0, is_hidden=True)
        yield Operator("addmm", s * 2, s * 2, 2 * short**3, "bf16", is_product=True)
        yield Operator(HIDDEN, n * 2, n * 2, 0, is_hidden=True)
        yield Operator("addmm", (s + n) * 2, n * 2, product, "bf16", is_product=True)
    yield Operator("mul_", n * item, n * item, n)
    yield Operator("add_", n * item + n * 2, n * item, 2 * n)


def adamw(numel: int, parameters: Format) -> Iterator[Operator]:
    """What torch.optim.AdamW calls for a parameter. The number of the step is on the host."""
    size = numel * ITEM_BYTES[parameters]
    yield Operator("mul_", size, size, numel)
    yield Operator("lerp_", 2 * size, size, 3 * numel)
    yield Operator("mul_", size, size, numel)
    yield Operator("addcmul_", 2 * size, size, 3 * numel)
    yield Operator("sqrt", size, size, numel)
    yield Operator("div", size, size, numel)
    yield Operator("add_", size, size, numel)
    yield Operator("addcdiv_", 3 * size, size, 3 * numel)


def plain_works(population: Population, route: str, steps: int) -> Iterator[Work]:
    """The operators of each shape, once for each parameter that has it."""
    for (rows, cols), n in population.counts.items():
        chosen = muon(rows, cols, population.format, steps) if route == "matrix" else adamw(cols, population.format)
        for operator in chosen:
            yield Work(
                kernel=operator.name,
                title="hidden" if operator.is_hidden else "",
                kind="product" if operator.is_product else "elementwise",
                format=operator.format,
                matrices=n,
                flops=n * operator.flops,
                loaded=n * operator.loaded,
                stored=n * operator.stored,
                loaded_by_tiles=n * operator.loaded,
                launches=n,
            )
