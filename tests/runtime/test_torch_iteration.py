"""Iterations by torch's products against the steps in float64, and against the error of torch.optim.Muon's own."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

import muondsl
from benchmarks.accuracy import bar, errors, exact, step_by_step
from benchmarks.spectra import SPECTRA, matrix
from generated.torch_muon import TorchMuon
from muondsl.runtime import choose_products
from muondsl.runtime.choose_products import allowed_forms, products_of
from muondsl.runtime.iteration import Gram, Iteration
from muondsl.runtime.processor import UNITS, processor_name, usual_processor
from muondsl.runtime.torch_iteration import iterated, multiplied

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
    processor = usual_processor({unit: has_any for units in UNITS.values() for unit in units})
    monkeypatch.setattr(choose_products, "this_processor", lambda: processor)


LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "wide": lambda x: x.contiguous(),
    "tall": lambda x: x.mT.contiguous().mT,
    "cut out": lambda x: torch.zeros(x.shape[0] + 3, 2 * x.shape[1] + 1, dtype=x.dtype)[2:-1, 1::2].copy_(x),
    "several": lambda x: torch.stack([x, 0.5 * x, x]),
    "several, tall": lambda x: torch.stack([x, 0.5 * x]).mT.contiguous().mT,
}


@pytest.mark.parametrize("panel", [0, 16])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("gram", [None, FP32, Gram(ratio=1.0, restarts=(3,))], ids=["direct", "gram", "restarts at 3"])
@pytest.mark.parametrize("coefficients", ["keller_jordan", "polar_express", "cubic"])
@pytest.mark.parametrize("shape", [(40, 40), (24, 100), (1, 48), (1, 1), (33, 70)], ids=str)
def test_it_is_the_steps(shape: tuple[int, int], coefficients: str, gram: Gram | None, layout: str, panel: int) -> None:
    x = LAYOUTS[layout](matrix(*shape).float() / 1.01)  # At 1 Polar Express is as steep as it is anywhere.
    before = x.clone()
    products = products_of(iteration(coefficients, torch.float32, gram), torch.float32, gram)
    found = multiplied(x, replace(products, outer_panel=panel, square_panel=panel))
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
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_every_form_in_sixteen_bits_is_as_accurate_as_torch(
    dtype: torch.dtype, coefficients: str, spectrum: str, shape: tuple[int, int]
) -> None:
    x = matrix(*shape, spectrum).bfloat16()
    expected = exact(x.double(), COEFFICIENTS[coefficients])
    steps = len(COEFFICIENTS[coefficients])
    one = iteration(coefficients, torch.bfloat16, Gram(ratio=2.0, restarts=tuple(range(2, steps, 2)), shortest=512))
    torchs = errors(step_by_step(x, COEFFICIENTS[coefficients]), expected)
    for gram in allowed_forms(one, shape[0], torch.bfloat16, dtype):
        products = replace(products_of(one, dtype, gram), outer_panel=128, square_panel=128)
        assert errors(multiplied(x, products), expected).is_within(bar(torchs))


def test_describe_says_which_form_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = (*((64, 64),) * 9, (96, 512), (2304, 768))
    parameters = [torch.nn.Parameter(torch.zeros(each)) for each in sizes]
    groups = [{"params": parameters, "route": "matrix"}]
    optimizer = TorchMuon(groups, workspace=3 << 20)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with_units(monkeypatch, has_any=False)
        assert optimizer.describe().splitlines()[-5:] == [
            "  9 of 64 × 64  direct in bfloat16, by products in float32  stacks of up to 9",
            "  1 of 96 × 512  gram in bfloat16, by products in float32",
            "  1 of 2304 × 768  gram in bfloat16, by products in float32, symmetric ones in panels of 128 rows",
            f"  chosen by usual rates of {processor_name()}",
            "  side by side on as many as 2 threads, in 3 MiB of workspace",
        ]
        with_units(monkeypatch, has_any=True)
        assert optimizer.describe().splitlines()[-5:-3] == [
            "  9 of 64 × 64  direct in bfloat16  stacks of up to 9",
            "  1 of 96 × 512  direct in bfloat16",
        ]
        faithful = muondsl.load("specs/torch_muon.muon", numerics="faithful")(groups).describe()
        assert faithful.splitlines()[-1] == "  side by side on as many as 2 threads"
        assert "×" not in faithful
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_squares_are_kept_no_longer_than_they_are_read(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten joined steps name 38 squares; six of them are ever needed at once."""
    made: list[weakref.ref[Tensor]] = []
    most = 0
    empty = torch.empty

    def counted(sizes: tuple[int, ...], **options: object) -> Tensor:
        nonlocal most
        assert sizes == (16, 16)
        new = empty(sizes, **options)
        made.append(weakref.ref(new))
        most = max(most, sum(each() is not None for each in made))
        return new

    monkeypatch.setattr(torch, "empty", counted)
    gram = Gram(ratio=1.0, restarts=(5,))
    one = Iteration(coefficients=LONG, dtype=torch.bfloat16, gram=gram)
    multiplied(matrix(16, 64).bfloat16(), products_of(one, dtype, gram))
    assert 3 <= most <= 6
