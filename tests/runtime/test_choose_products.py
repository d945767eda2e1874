"""What is chosen for an iteration on a CPU, against costs worked out by hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from generated.torch_muon import NEWTON_SCHULZ
from muondsl.runtime import choose_products as module
from muondsl.runtime.choose_products import allowed_forms, choose_products
from muondsl.runtime.forms import Operation
from muondsl.runtime.iteration import Iteration
from muondsl.runtime.processor import UNITS, Processor, ProductRate, usual_processor

CPU = torch.device("cpu")
WITHOUT = usual_processor({})
WITH = usual_processor({unit: True for units in UNITS.values() for unit in units})
RATES = tuple(ProductRate(dtype, 1e9, 1.0) for dtype in (torch.bfloat16, torch.float32, torch.float64))
FREE = Processor("products alone", RATES, bandwidth=1e30, call=0.0)
POLAR = replace(NEWTON_SCHULZ, coefficients=((8.3, -23.6, 17.3), *NEWTON_SCHULZ.coefficients))


@pytest.fixture(autouse=True)
def _chosen_anew() -> Iterator[None]:
    """What is remembered knows nothing of panels that a test changes."""
    module._cheapest.cache_clear()
    yield
    module._cheapest.cache_clear()


def chosen(
    processor: Processor,
    short: int,
    long: int,
    monkeypatch: pytest.MonkeyPatch,
    dtype: torch.dtype = torch.bfloat16,
    iteration: Iteration = NEWTON_SCHULZ,
) -> module.Products:
    monkeypatch.setattr(module, "this_processor", lambda: processor)
    return choose_products(iteration, short, long, dtype, CPU)


def flops(operation: Operation, short: int, long: int) -> int:
    return 2 * short * short * (short if operation.kind == "square" else long)


@pytest.mark.parametrize("panels", [0, 2])
@pytest.mark.parametrize("shape", [(256, 256), (256, 1024)], ids=str)
def test_the_cost_is_that_of_its_products(shape: tuple[int, int], panels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two panels of a symmetric product are three of its four quarters."""
    monkeypatch.setattr(module, "PANELS", (128,) if panels else ())
    found = chosen(FREE, *shape, monkeypatch)
    expected = 0.0
    for operation, _ in found.operations:
        part = 0.75 if panels and operation.kind != "apply" else 1.0
        expected += part * flops(operation, *shape) / 1e9
    assert found.seconds == pytest.approx(expected, rel=1e-12)
    assert found.outer_panel == found.square_panel == (128 if panels else 0)


def test_a_call_and_a_byte_cost_what_the_processor_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PANELS", ())
    free = chosen(FREE, 64, 64, monkeypatch).seconds
    assert chosen(replace(FREE, call=1e-3), 64, 64, monkeypatch).seconds == pytest.approx(free + 15e-3)
    slow = replace(FREE, products=(ProductRate(torch.bfloat16, 1e6, 1.0), *RATES[1:]), bandwidth=1e6)
    assert chosen(slow, 64, 64, monkeypatch).seconds == pytest.approx(free + 2 * 64 * 64 * (2 + 4) / 1e6)


def test_sixteen_bits_are_widened_where_they_are_slower(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [chosen(each, 64, 64, monkeypatch).dtype for each in (WITHOUT, WITH)] == [torch.float32, torch.bfloat16]
    for dtype in (torch.float32, torch.float64):
        assert chosen(WITHOUT, 64, 64, monkeypatch, dtype).dtype == dtype


def test_long_matrices_are_taken_by_their_gram_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    """From where it is cheaper, by hand: five direct steps take 20 α + 10 s³, those of one Gram matrix 4 α + 34."""
    monkeypatch.setattr(module, "PANELS", ())
    widened = replace(FREE, products=(ProductRate(torch.bfloat16, 1e6, 1.0), *RATES[1:]))
    assert [chosen(widened, 1000, long, monkeypatch).form for long in (1000, 1490, 1510, 4000)] == [
        *("direct", "direct", "gram", "gram")
    ]


def test_what_is_not_accurate_is_not_chosen() -> None:
    bf16, fp32 = torch.bfloat16, torch.float32
    assert allowed_forms(NEWTON_SCHULZ, 512, bf16, bf16) == [None, NEWTON_SCHULZ.gram]
    assert allowed_forms(NEWTON_SCHULZ, 511, bf16, bf16) == [None]
    assert allowed_forms(POLAR, 512, bf16, bf16) == [None]
    assert allowed_forms(POLAR, 16, bf16, fp32) == [None, module.WIDENED_GRAM]
    assert allowed_forms(replace(NEWTON_SCHULZ, gram=None), 512, bf16, fp32) == [None]


@pytest.mark.parametrize("processor", [WITH, WITHOUT], ids=["with units", "without"])
def test_panels_are_for_large_products_alone(processor: Processor, monkeypatch: pytest.MonkeyPatch) -> None:
    assert chosen(processor, 128, 512, monkeypatch).outer_panel == 0
    assert chosen(processor, 4096, 4096, monkeypatch).square_panel > 0
    slow = replace(processor, products=tuple(replace(each, panel=0.1) for each in processor.products))
    assert {chosen(slow, 256, long, monkeypatch).outer_panel for long in (256, 4096)} == {0}


def test_elsewhere_the_form_is_that_of_kernels() -> None:
    found = [
        choose_products(NEWTON_SCHULZ, *each, torch.bfloat16, torch.device("cuda"))
        for each in ((512, 512), (512, 1024))
    ]
    assert [(each.form, each.dtype, each.outer_panel) for each in found] == [
        *(("direct", torch.bfloat16, 0), ("gram", torch.bfloat16, 0))
    ]
