"""Matrices to iterate, the iteration as written, and the operations of a form carried out in torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from muondsl.runtime.forms import SOURCE, Coefficients, Operation

KELLER_JORDAN: tuple[Coefficients, ...] = ((3.4445, -4.7750, 2.0315),) * 5
POLAR_EXPRESS: tuple[Coefficients, ...] = (
    (8.156554524902461, -22.48329292557795, 15.878769915207462),
    (4.042929935166739, -2.808917465908714, 0.5000178451051316),
    (3.8916678022926607, -2.772484153217685, 0.5060648178503393),
    (3.285753657755655, -2.3681294933425376, 0.46449024233003106),
    (2.3465413258596377, -1.7097828382687081, 0.42323551169305323),
)
SPECTRA = ("gauss", "1/i", "1 to 1e-6", "rank 32")


def matrix_of(spectrum: str, short: int, long: int, seed: int = 0) -> Tensor:
    """A float64 matrix with these singular values (gauss: normal entries) and random singular vectors."""
    generator = torch.Generator().manual_seed(seed)
    normal = torch.randn(short, long, generator=generator, dtype=torch.float64)
    if spectrum == "gauss":
        return normal
    index = torch.arange(short, dtype=torch.float64)
    values = {
        "1/i": 1 / (1 + index),
        "1 to 1e-6": 10 ** (-6 * index / max(short - 1, 1)),
        "rank 32": (index < 32).to(torch.float64),
    }[spectrum]
    left = torch.linalg.qr(torch.randn(short, short, generator=generator, dtype=torch.float64)).Q
    right: Tensor = torch.linalg.qr(normal.mT).Q
    return left * values @ right.mT


def quintic(x: Tensor, coefficients: Sequence[Coefficients]) -> Tensor:
    """The iteration as a spec writes it, in the precision of x."""
    for a, b, c in coefficients:
        s = x @ x.mT
        x = a * x + (b * s + c * (s @ s)) @ x
    return x


def carry_out(
    operations: Sequence[Operation],
    source: Tensor,
    divisor: float = 1.0,
    rounded: Callable[[Tensor], Tensor] = lambda result: result,
) -> Tensor:
    """The last matrix that the operations write; each result is rounded once."""
    matrices = {SOURCE: source}
    for operation in operations:
        matrices[operation.out] = rounded(result_of(operation, matrices, divisor))
    return matrices[operations[-1].out]


def result_of(operation: Operation, matrices: dict[str, Tensor], divisor: float) -> Tensor:
    left, right = matrices[operation.left], matrices[operation.right]
    out = operation.alpha * (left @ (right.mT if operation.kind == "outer" else right))
    if operation.addend is not None:
        out = out + operation.beta * matrices[operation.addend]
    out = out / divisor**operation.divisions
    return out + operation.gamma * torch.eye(*out.shape, dtype=out.dtype) if operation.gamma else out
