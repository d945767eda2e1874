"""Small matrices iterated in Triton's interpreter: `python -m tests.triton.interpret_small PATH`."""

from __future__ import annotations

import sys
from typing import Any

import torch

from muondsl.runtime.small import SmallMatrix, small_launches
from tests.triton.iterates import KELLER_JORDAN, quintic
from tests.triton.matrices import Placed, normal

# Both sides of each limit: on chip, and in one, two or three blocks of the long side; short sides of all buckets.
SHAPES = {
    torch.float32: [(1, 1), (1, 40), (16, 16), (17, 33), (32, 70), (13, 130)],
    torch.float16: [(1, 1), (16, 128), (17, 130), (33, 65), (50, 129), (65, 129), (100, 100), (128, 128)],
    torch.bfloat16: [(1, 7), (9, 129), (31, 33), (64, 64), (64, 200), (80, 150)],
}


def run(dtype: torch.dtype, *, in_place: bool = False, alone: bool = False) -> dict[str, Any]:
    matrices, placed, expected = [], [], []
    for index, (short, long) in enumerate(SHAPES[dtype]):
        matrix = normal(short, long, index, dtype)
        x = Placed(matrix, dtype)
        out = x if in_place else Placed(torch.full((short, long), float("nan")), dtype)
        divisor = torch.linalg.norm(matrix).to(torch.float32).reshape(1)
        matrices.append(SmallMatrix(x.operand, out.operand, short, long, divisor.data_ptr()))
        placed.append((x, out, divisor))
        expected.append(quintic(matrix / divisor.to(torch.float64), KELLER_JORDAN))
    for batch in [[one] for one in matrices] if alone else [matrices]:
        for launch in small_launches(
            batch, KELLER_JORDAN, dtype=dtype, architecture="sm_90", device=torch.device("cpu")
        ):
            launch.run()
    return {
        "out": [out.tensor.clone() for _, out, _ in placed],
        "expected": expected,
        "touched outside": [bool((~out.outside().isnan()).any()) for _, out, _ in placed],
    }


if __name__ == "__main__":
    found = {str(dtype).removeprefix("torch."): run(dtype) for dtype in SHAPES}
    found["in place"] = run(torch.float16, in_place=True)
    found["alone"] = run(torch.float16, alone=True)
    torch.save(found, sys.argv[1])
