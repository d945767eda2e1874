"""Runs launches of iterations in Triton's interpreter and writes what they yield, beside the iteration in float64.

`python -m tests.triton.interpret_iteration PATH`, with TRITON_INTERPRET=1.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import torch
from torch import Tensor

from muondsl.runtime.iteration import Gram, Iteration, Member, iteration_launches
from tests.triton.iterates import KELLER_JORDAN, POLAR_EXPRESS, matrix_of, quintic

# Small, odd, square, wide; one row, one element; several of one shape, and two that take Gram space.
SHAPES = [(17, 33), (65, 129), (65, 130), (1, 40), (1, 1), (48, 48), (33, 150), (17, 33), (40, 80)]


def aligned(elements: int, dtype: torch.dtype) -> Tensor:
    """Memory full of nan, from an address that is a multiple of 256."""
    extra = 256 // dtype.itemsize
    memory = torch.full((elements + extra,), float("nan"), dtype=dtype)
    return memory[-memory.data_ptr() % 256 // dtype.itemsize :]


def run(iteration: Iteration, matrices: Sequence[Tensor], size: float | None = None) -> list[Tensor]:
    """What the launches make of the matrices, each divided by its norm, or by `size`, on the device."""
    memories, members, results = [], [], []
    for matrix in matrices:
        short, long = matrix.shape
        placed = iteration.layout(short, long)
        source, scratch = (
            aligned(bytes_ // iteration.dtype.itemsize, iteration.dtype)
            for bytes_ in (placed.source_bytes, placed.scratch_bytes)
        )
        source.as_strided((short, long), (placed.leading, 1)).copy_(matrix)
        divisor = torch.linalg.norm(matrix).reshape(1).to(torch.float32) if size is None else torch.tensor([size])
        member = Member(short, long, source.data_ptr(), scratch.data_ptr(), divisor.data_ptr())
        is_in_source = placed.result_address(member.source, member.scratch) == member.source
        results.append((source if is_in_source else scratch).as_strided((short, long), (placed.leading, 1)))
        memories.append((source, scratch, divisor))
        members.append(member)
    for launch in iteration_launches(iteration, members, device=torch.device("cpu"), architecture="sm_80"):
        launch.run()
    return [result.clone() for result in results]


def main(path: str) -> None:
    matrices = [matrix_of("gauss", *shape, seed=index).to(torch.float32) for index, shape in enumerate(SHAPES)]
    direct = Iteration(KELLER_JORDAN, torch.float32, small=16)
    gram = Iteration(KELLER_JORDAN, torch.float32, gram=Gram(2.0, (2, 4), 20), small=16)
    variants = {
        "direct": direct,
        "faithful": Iteration(KELLER_JORDAN, torch.float32, small=16, folds_diagonal=False),
        "gram": gram,
        "polar_express": Iteration(POLAR_EXPRESS, torch.float32, gram=Gram(1.5, (3,), 0), small=20),
        "even": Iteration(KELLER_JORDAN[:2], torch.float32, gram=Gram(2.0), small=0),
    }
    found = {}
    for name, iteration in variants.items():
        found[name] = run(iteration, matrices)
        found[f"{name}, exact"] = [
            quintic(matrix.to(torch.float64) / torch.linalg.norm(matrix.to(torch.float64)), iteration.coefficients)
            for matrix in matrices
        ]
    found["gram, one at a time"] = [run(gram, [matrix])[0] for matrix in matrices]
    found["gram, reversed"] = run(gram, matrices[::-1])
    found["zero"] = run(gram, [torch.zeros(40, 80)], size=1e-7)
    torch.save(found, path)


if __name__ == "__main__":
    main(sys.argv[1])
