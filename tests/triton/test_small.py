"""Small matrices: the iteration in Triton's interpreter, and how shapes are dealt to launches."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from muondsl.runtime.products import Operand
from muondsl.runtime.small import SmallMatrix, small_launches
from muondsl.runtime.tiles import ARCHITECTURES, longest_small
from tests.triton.interpreted import interpreted
from tests.triton.iterates import POLAR_EXPRESS

X, OUT = Operand(1 << 32, 1024), Operand(1 << 33, 1024)
# Relative to the norm: what five steps in the dtype make of a rounding, and the interpreter's truncation of bf16.
TOLERANCES = {"float32": 5e-6, "float16": 6e-3, "bfloat16": 4e-2}


def found(name: str) -> dict[str, Any]:
    return interpreted("tests.triton.interpret_small")[name]


@pytest.mark.parametrize("name", TOLERANCES)
def test_small_iteration_is_the_iteration(name: str) -> None:
    for out, expected in zip(found(name)["out"], found(name)["expected"], strict=True):
        error = torch.linalg.norm(out.to(torch.float64) - expected) / torch.linalg.norm(expected)
        assert error < TOLERANCES[name], tuple(out.shape)


@pytest.mark.parametrize("name", [*TOLERANCES, "in place"])
def test_small_iteration_stores_nothing_elsewhere(name: str) -> None:
    assert not any(found(name)["touched outside"])


@pytest.mark.parametrize("name", ["in place", "alone"])
def test_small_iteration_depends_on_its_own_matrix_only(name: str) -> None:
    for other, out in zip(found(name)["out"], found("float16")["out"], strict=True):
        assert torch.equal(other, out)


def launches(*shapes: tuple[int, int], dtype: torch.dtype = torch.bfloat16, architecture: str = "sm_90") -> Any:
    return small_launches(
        [SmallMatrix(X, OUT, *shape) for shape in shapes],
        POLAR_EXPRESS,
        dtype=dtype,
        architecture=architecture,
        device=torch.device("cpu"),
    )


def test_matrices_of_one_bucket_share_a_launch() -> None:
    made = launches((3, 4), (16, 128), (16, 129), (17, 20), (100, 100), (128, 4096))
    assert [(one.constants["BLOCK_SHORT"], one.constants["IS_WHOLE"], one.matrices) for one in made] == [
        (128, False, 2),
        (32, True, 1),
        (16, False, 1),
        (16, True, 2),
    ]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_every_short_side_up_to_the_longest_has_a_block(architecture: str, dtype: torch.dtype) -> None:
    longest = longest_small(str(dtype).removeprefix("torch."))
    for short in (1, 16, 17, longest):
        assert launches((short, short), dtype=dtype, architecture=architecture)
    with pytest.raises(ValueError, match="not iterated in one launch"):
        launches((longest + 1, longest + 1), dtype=dtype, architecture=architecture)


def test_matrix_that_the_kernel_would_get_wrong_is_refused() -> None:
    with pytest.raises(ValueError, match="40 × 30"):
        launches((40, 30))
    with pytest.raises(ValueError, match="multiple of 16"):
        small_launches(
            [SmallMatrix(Operand(1 << 32, 40), OUT, 4, 40)],
            POLAR_EXPRESS,
            dtype=torch.float16,
            architecture="sm_80",
            device=torch.device("cpu"),
        )
