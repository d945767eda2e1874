"""Counts of programs that can be counted by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from benchmarks.dispatched import Dispatched
from benchmarks.parameter_sets import Shape
from benchmarks.subjects import parameters, reference

Counts = tuple[int, int, int, int, int]


def counts(run: Callable[[], object], *, computes_products: bool = True) -> Counts:
    """Products, others, the bytes of either, FLOPs."""
    with Dispatched(computes_products=computes_products) as seen:
        run()
    return seen.products, seen.others, seen.product_bytes, seen.other_bytes, seen.flops


def test_two_sums_and_a_product() -> None:
    one, other, factor = torch.ones(10, 20), torch.ones(10, 20), torch.ones(20, 30)
    found = counts(lambda: (one + other + one) @ factor)
    assert found == (1, 2, 4 * (200 + 600 + 300), 2 * 4 * 3 * 200, 2 * 10 * 20 * 30)


@pytest.mark.parametrize("computes_products", [True, False])
def test_what_is_given_twice_is_read_once(computes_products: bool) -> None:
    x, s = torch.ones(4, 6, dtype=torch.bfloat16), torch.ones(4, 4, dtype=torch.bfloat16)
    assert counts(lambda: x @ x.mT, computes_products=computes_products)[2] == 2 * (24 + 16)
    assert counts(lambda: torch.addmm(s, s, s), computes_products=computes_products)[2] == 2 * (16 + 16)
    assert counts(lambda: torch.addmm(x, s, x), computes_products=computes_products)[2] == 2 * (16 + 24 + 24)


@pytest.mark.parametrize("computes_products", [True, False])
def test_a_product_of_stacks_into_its_place(computes_products: bool) -> None:
    left, right, out = torch.ones(3, 4, 5), torch.ones(3, 5, 6), torch.zeros(3, 4, 6)
    found = counts(lambda: torch.bmm(left, right, out=out), computes_products=computes_products)
    assert found == (1, 0, 4 * (60 + 90 + 72), 0, 3 * 2 * 4 * 5 * 6)
    assert bool(out.any()) == computes_products


OTHERS: dict[str, tuple[Callable[[Tensor, Tensor], object], int, int]] = {
    "in place, reads and writes": (lambda x, y: x.add_(y), 1, 300),
    "a copy does not read what it writes over": (lambda x, y: x.copy_(y), 1, 200),
    "filling only writes": (lambda x, y: x.fill_(2.0), 1, 100),
    "into its place": (lambda x, y: torch.mul(x, 2.0, out=y), 1, 200),
    "lists are one operation": (lambda x, y: torch._foreach_add_([x, y], [y, x]), 1, 400),
    "what is expanded is there once": (lambda x, y: x[:1].expand(100).contiguous(), 1, 101),
    "a number that is read": (lambda x, y: x[0].item(), 1, 1),
    "a view": (lambda x, y: x.view(10, 10).mT.unsqueeze(0), 0, 0),
    "memory that nobody has written": (lambda x, y: (torch.empty(7), torch.empty_like(x)), 0, 0),
    "memory that is cleared": (lambda x, y: torch.zeros_like(x), 1, 200),
}
"""A program, its operations, and the numbers that they read and write, of four bytes each."""


@pytest.mark.parametrize("name", OTHERS)
def test_others(name: str) -> None:
    run, operations, numbers = OTHERS[name]
    x, y = torch.ones(100), torch.ones(100)
    assert counts(lambda: run(x, y)) == (0, operations, 0, 4 * numbers, 0)


def of_torch(shape: Shape, *, computes_products: bool = False) -> Counts:
    """Of a second step."""
    step = reference(parameters([shape]))
    step()
    return counts(step, computes_products=computes_products)


@pytest.mark.parametrize("shape", [(16, 16), (16, 48), (48, 16)], ids=str)
def test_products_that_are_not_computed_are_counted_alike(shape: Shape) -> None:
    assert of_torch(shape, computes_products=True) == of_torch(shape)


def test_torch_optim_muon_moves_114_bytes() -> None:
    """The mean over the matrices of a layer whose queries, keys and values are apart: 23 operations, of which that on
    the norm has one number to work on.
    """
    sizes = [of_torch(shape) for shape in [(768, 768)] * 4 + [(3072, 768), (768, 3072)]]
    assert {(products, others) for products, others, *_ in sizes} == {(15, 8)}
    elements = [768 * 768] * 4 + [768 * 3072] * 2
    each = [(found[2] + found[3]) / number for found, number in zip(sizes, elements, strict=True)]
    assert sum(each) / 6 == pytest.approx(114, abs=0.001)
