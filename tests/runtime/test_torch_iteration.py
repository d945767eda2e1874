"""Iterations by torch's products against the steps in float64, and against the error of torch.optim.Muon's own."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import muondsl
from benchmarks.accuracy import bar, errors, exact, step_by_step
from benchmarks.spectra import SPECTRA, matrix
from generated.torch_muon import TorchMuon
from muondsl.runtime import torch_iteration
from muondsl.runtime.iteration import Gram, Iteration
from muondsl.runtime.torch_iteration import iterated, product_dtype, torch_form

CPU = torch.device("cpu")
KELLER_JORDAN = ((3.4445, -4.7750, 2.0315),) * 5
POLAR_EXPRESS = (
    (8.28721201814563, -23.595886519098837, 17.300387312530933),
    (4.107059111542203, -2.9478499167379106, 0.5448431082926601),
    (3.9486908534822946, -2.908902115962949, 0.5518191394370137),
    (3.3184196573706015, -2.488488024314874, 0.51004894012372),
    (2.300652019954817, -1.6689039845747493, 0.4188073119525673),
)
LONG = (*((3.4445, -4.7750, 2.0315),) * 8, *((2.0, -1.5, 0.5),) * 2)
CUBIC = ((1.5, -0.5, 0.0),) * 6
COEFFICIENTS = {"keller_jordan": KELLER_JORDAN, "polar_express": POLAR_EXPRESS, "ten": LONG, "cubic": CUBIC}
BF16 = Gram(ratio=2.0, restarts=(2, 4), shortest=512)
FP32 = Gram(ratio=2.0, restarts=(2, 4))


def iteration(coefficients: str, dtype: torch.dtype, gram: Gram | None = None) -> Iteration:
    return Iteration(coefficients=COEFFICIENTS[coefficients], dtype=dtype, gram=gram)


def with_units(monkeypatch: pytest.MonkeyPatch, *, has_any: bool) -> None:
    found = {unit: has_any for units in torch_iteration.UNITS.values() for unit in units}
    monkeypatch.setattr(torch_iteration, "_capabilities", lambda: found)


LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "wide": lambda x: x.contiguous(),
    "tall": lambda x: x.mT.contiguous().mT,
    "cut out": lambda x: torch.zeros(x.shape[0] + 3, 2 * x.shape[1] + 1, dtype=x.dtype)[2:-1, 1::2].copy_(x),
    "several": lambda x: torch.stack([x, 0.5 * x, x]),
    "several, tall": lambda x: torch.stack([x, 0.5 * x]).mT.contiguous().mT,
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("gram", [None, FP32, Gram(ratio=1.0, restarts=(3,))], ids=["direct", "gram", "gram from 1"])
@pytest.mark.parametrize("coefficients", ["keller_jordan", "polar_express", "cubic"])
@pytest.mark.parametrize("shape", [(40, 40), (24, 100), (1, 48), (1, 1), (33, 70)], ids=str)
def test_it_is_the_steps(shape: tuple[int, int], coefficients: str, gram: Gram | None, layout: str) -> None:
    x = LAYOUTS[layout](matrix(*shape).float() / 1.01)  # At 1 Polar Express is as steep as it is anywhere.
    before = x.clone()
    found = iterated(iteration(coefficients, torch.float32, gram), x)
    expected = exact(x.double(), COEFFICIENTS[coefficients])
    assert found.dtype == torch.float32
    assert float((found - expected).norm() / expected.norm()) <= 2e-5
    assert torch.equal(x, before)
    assert found.data_ptr() != x.data_ptr()


@pytest.mark.parametrize("layout", ["wide", "tall", "several, tall"])
@pytest.mark.parametrize("has_units", [True, False])
def test_the_result_lies_as_what_was_given(layout: str, has_units: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    with_units(monkeypatch, has_any=has_units)
    x = LAYOUTS[layout](matrix(24, 100).bfloat16())
    found = iterated(iteration("keller_jordan", torch.bfloat16, BF16), x)
    assert (found.stride(), found.dtype) == (x.stride(), torch.bfloat16)


@pytest.mark.parametrize("shape", [(256, 256), (512, 1536)], ids=str)
@pytest.mark.parametrize("spectrum", SPECTRA)
@pytest.mark.parametrize("coefficients", ["keller_jordan", "polar_express", "ten"])
@pytest.mark.parametrize("has_units", [True, False])
def test_sixteen_bits_are_as_accurate_as_torch(
    has_units: bool, coefficients: str, spectrum: str, shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    with_units(monkeypatch, has_any=has_units)
    x = matrix(*shape, spectrum).bfloat16()
    expected = exact(x.double(), COEFFICIENTS[coefficients])
    steps = len(COEFFICIENTS[coefficients])
    gram = Gram(ratio=2.0, restarts=tuple(range(2, steps, 2)), shortest=512)
    ours = errors(iterated(iteration(coefficients, torch.bfloat16, gram), x), expected)
    torchs = errors(step_by_step(x, COEFFICIENTS[coefficients]), expected)
    assert ours.is_within(bar(torchs))


def test_products_are_widened_where_the_cpu_has_no_units_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    one = iteration("keller_jordan", torch.bfloat16, BF16)
    with_units(monkeypatch, has_any=False)
    assert product_dtype(torch.bfloat16, CPU) == product_dtype(torch.float16, CPU) == torch.float32
    assert product_dtype(torch.bfloat16, torch.device("cuda")) == torch.bfloat16
    assert [torch_form(one, 64, long, torch.bfloat16, CPU) for long in (64, 95, 96)] == ["direct", "direct", "gram"]
    with_units(monkeypatch, has_any=True)
    assert product_dtype(torch.bfloat16, CPU) == torch.bfloat16
    assert [torch_form(one, *each, torch.bfloat16, CPU) for each in ((64, 640), (512, 1023), (512, 1024))] == [
        *("direct", "direct", "gram")
    ]
    assert product_dtype(torch.float32, CPU) == torch.float32
    assert product_dtype(torch.float64, CPU) == torch.float64


def test_what_torch_does_not_say_of_a_cpu_is_not_assumed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    torch_iteration._capabilities.cache_clear()
    try:
        assert product_dtype(torch.bfloat16, CPU) == torch.bfloat16
    finally:
        torch_iteration._capabilities.cache_clear()


def test_describe_says_which_form_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = ((64, 256), (96, 64), (256, 64))
    parameters = [torch.nn.Parameter(torch.zeros(each)) for each in sizes]
    optimizer = TorchMuon([{"params": parameters, "route": "matrix"}])
    with_units(monkeypatch, has_any=False)
    assert optimizer.describe().splitlines()[-3:] == [
        "  1 of 64 × 256  gram in bfloat16, by products in float32",
        "  1 of 96 × 64  gram in bfloat16, by products in float32",
        "  1 of 256 × 64  gram in bfloat16, by products in float32",
    ]
    with_units(monkeypatch, has_any=True)
    assert optimizer.describe().splitlines()[-1] == "  1 of 256 × 64  direct in bfloat16"
    assert "×" not in muondsl.load("specs/torch_muon.muon", numerics="faithful")(parameters).describe()


@pytest.mark.parametrize("has_units", [True, False])
def test_squares_are_kept_no_longer_than_they_are_read(has_units: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten joined steps name 38 squares; six of them are ever needed at once."""
    with_units(monkeypatch, has_any=has_units)
    made: list[tuple[int, ...]] = []
    empty = torch.empty

    def counted(sizes: tuple[int, ...], **options: object) -> Tensor:
        made.append(sizes)
        return empty(sizes, **options)

    monkeypatch.setattr(torch, "empty", counted)
    gram = Gram(ratio=1.0, restarts=(5,))
    iterated(Iteration(coefficients=LONG, dtype=torch.bfloat16, gram=gram), matrix(16, 64).bfloat16())
    assert set(made) == {(16, 16)}
    assert len(made) <= 6
