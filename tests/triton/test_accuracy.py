"""What the forms of an iteration lose in 16 bits, beside what torch.optim.Muon loses in bf16."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from muondsl.runtime.forms import Coefficients, steps_to_products
from tests.triton.iterates import KELLER_JORDAN, POLAR_EXPRESS, SPECTRA, carry_out, matrix_of, quintic

# Restarts of each form; a restart before every step is the direct form.
DIRECT, GRAM_BF16, GRAM_FP16, GRAM_FP32 = (1, 2, 3, 4), (2, 4), (3,), (2, 4)


@dataclass(frozen=True)
class Errors:
    """Against the iteration in float64: relative in Frobenius norm, and of the worst singular value."""

    norm: float
    singular: float

    def __str__(self) -> str:
        return f"{self.norm:.4f} {self.singular:.4f}"


def singular_values(x: Tensor) -> Tensor:
    return torch.linalg.eigvalsh(x @ x.mT).clamp(min=0).sqrt()


def errors_of(result: Tensor, exact: Tensor) -> Errors:
    result = result.to(torch.float64)
    norm = torch.linalg.norm(result - exact) / torch.linalg.norm(exact)
    return Errors(norm.item(), (singular_values(result) - singular_values(exact)).abs().max().item())


def torch_muon(x: Tensor, divisor: float, coefficients: tuple[Coefficients, ...]) -> Tensor:
    """torch.optim.Muon's operations in bf16, with coefficients that may differ from step to step."""
    x = x / divisor
    for a, b, c in coefficients:
        s = x @ x.mT
        x = torch.addmm(x, torch.addmm(s, s, s, beta=b, alpha=c), x, beta=a)
    return x


def in_format(
    x: Tensor, divisor: float, coefficients: tuple[Coefficients, ...], restarts: tuple[int, ...], dtype: torch.dtype
) -> Tensor:
    """The operations in fp32 with every result rounded to the format, as products with an fp32 accumulator do."""
    if dtype is torch.float16:
        # What the elementwise kernel writes has to be in fp16's range, so the norm is divided out there.
        x, divisor = x / divisor, 1.0
    source = x.to(dtype).to(torch.float32)
    return carry_out(
        steps_to_products(coefficients, restarts), source, divisor, lambda out: out.to(dtype).to(torch.float32)
    )


def assert_within_bar(short: int, long: int, *, forms: dict[str, tuple[tuple[int, ...], torch.dtype]]) -> None:
    """Relative error at most 1.25 of torch.optim.Muon's and .005; singular values' at most 1.5 of its and .005."""
    outside = []
    print(f"\n{short}×{long}: relative error in Frobenius norm, error of the worst singular value")
    print(f"{'':28}" + "".join(f"{title:>20}" for title in ("torch.optim.Muon", *forms)))
    for name, coefficients in (("keller_jordan", KELLER_JORDAN), ("polar_express", POLAR_EXPRESS)):
        for spectrum in SPECTRA:
            x = matrix_of(spectrum, short, long).to(torch.bfloat16)
            x64 = x.to(torch.float64)
            divisor = torch.linalg.norm(x64).item() * (1.02 if coefficients is POLAR_EXPRESS else 1.0)
            exact = quintic(x64 / divisor, coefficients)
            torchs = errors_of(torch_muon(x, divisor, coefficients), exact)
            row = [torchs]
            for form, (restarts, dtype) in forms.items():
                row.append(errors_of(in_format(x64, divisor, coefficients, restarts, dtype), exact))
                if row[-1].norm > 1.25 * torchs.norm + 0.005 or row[-1].singular > 1.5 * torchs.singular + 0.005:
                    outside.append((name, spectrum, form, str(row[-1]), str(torchs)))
            print(f"{name:14}{spectrum:14}" + "".join(f"{errors!s:>20}" for errors in row))
    assert not outside


SIXTEEN_BITS = {
    "direct, bf16": (DIRECT, torch.bfloat16),
    "Gram (2, 4), bf16": (GRAM_BF16, torch.bfloat16),
    "Gram (3), fp16": (GRAM_FP16, torch.float16),
}


def test_direct_form_in_bf16_is_as_accurate_as_torch_muon() -> None:
    assert_within_bar(256, 1024, forms={"direct, bf16": (DIRECT, torch.bfloat16)})


def test_forms_at_the_shortest_side_that_takes_gram_space_are_as_accurate_as_torch_muon() -> None:
    assert_within_bar(512, 1024, forms=SIXTEEN_BITS)


@pytest.mark.slow
def test_forms_at_the_shapes_of_gpt2_are_as_accurate_as_torch_muon() -> None:
    assert_within_bar(768, 3072, forms=SIXTEEN_BITS)


@pytest.mark.slow
def test_forms_near_the_ratio_of_gram_space_are_as_accurate_as_torch_muon() -> None:
    assert_within_bar(768, 1152, forms=SIXTEEN_BITS)


@pytest.mark.parametrize("coefficients", [KELLER_JORDAN, POLAR_EXPRESS], ids=["keller_jordan", "polar_express"])
def test_gram_space_without_restarts_is_outside_the_bar(coefficients: tuple[Coefficients, ...]) -> None:
    # The bar can tell: what is not allowed fails it by far.
    x = matrix_of("1/i", 256, 512)
    divisor = torch.linalg.norm(x).item()
    result = in_format(x, divisor, coefficients, (), torch.bfloat16)
    assert errors_of(result, quintic(x / divisor, coefficients)).singular > 0.5


@pytest.mark.parametrize("spectrum", SPECTRA)
@pytest.mark.parametrize("coefficients", [KELLER_JORDAN, POLAR_EXPRESS], ids=["keller_jordan", "polar_express"])
def test_gram_space_in_fp32_is_as_accurate_as_the_iteration_as_written(
    coefficients: tuple[Coefficients, ...], spectrum: str
) -> None:
    x = matrix_of(spectrum, 256, 640).to(torch.float32)
    divisor = torch.linalg.norm(x).item()
    exact = quintic(x.to(torch.float64) / divisor, coefficients)
    written = errors_of(quintic(x / divisor, coefficients), exact)
    gram = errors_of(in_format(x, divisor, coefficients, GRAM_FP32, torch.float32), exact)
    assert gram.norm < 1.25 * written.norm + 1e-5
    assert gram.singular < 1.5 * written.singular + 1e-5
