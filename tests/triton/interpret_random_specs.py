"""Kernels of random specs in Triton's interpreter, beside the oracle: how far off each step is, and how far it may be.

`python -m tests.triton.interpret_random_specs PATH FIRST LAST`, with TRITON_INTERPRET=1; without FIRST and LAST, two
specs that hold what random ones may not.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import Parameter

import muondsl
from muondsl.interface import pipeline
from muondsl.ir.interpreter import Noise, initial_state, interpret
from muondsl.optimize import NUMERICS
from muondsl.pipeline import Options
from muondsl.runtime import batch, programs
from tests.schedule.random_specs import SpecWriter

# Odd, tall and square, several tiles each way; one column; all sides multiples of 16; what any shape may be.
MATRICES = ((33, 17), (5, 5), (3, 40), (4, 1), (16, 48))
OTHERS = ((5,), (2, 35, 1), ())
STEPS = 2

SMALLEST = 1e-37
"""Below this fp32 has fewer digits, or none."""


SQUARES = """optimizer Squares
hyper lr = 0.1
momentum {
  state side[rows, 1] = ones
  let gram = update @ parameter' / cols
  let both = tanh(gram) + gram' / (1 + norm(gram, over = rows))
  side   <- 0.5*side + max(both, over = rows)' + mean(both, over = rows)'
  let cogram = tanh(update' @ parameter)
  let large = cogram > 0.25
  update <- (both' @ update + 0.5*(both @ gradient)) / (rows + norm(both)) + side
  update <- update + update @ (if large then cogram else 0.5) / cols + (cogram @ parameter')' / rows
}
"""

NAMES = """optimizer Names
hyper lr = 0.1
hyper tile = 0.5
hyper betas = (0.9, 0.3)
hyper betas0 = 0.25
momentum {
  state shapes[long] = ones
  state scalars[1, 1] = 0.5
  let work = update > 0.1 and not update > 1 or rows == 5
  let size = norm(update) + tile
  update <- update / size + (if work then 0.25 else update)
  let power = max(update, size) * betas[0] + betas0
  let index = norm(power) > 3
  shapes <- lerp(shapes, mean(power * power, over = short), betas[1])
  scalars <- scalars + norm(shapes)
  update <- power / scalars + shapes + (if index then power else 1) + (if work then 1 else 100000)**2 / 1e10
}
orthogonalize {
  update <- update / (norm(update) + 0.1)
  odd_quintic(2, [(2, -1.5, 0.5)])
  let mid = update
  odd_quintic(1, [(3, -2, 0.5)])
  update <- update + 0.5*mid
}
"""


def shrink_blocks() -> None:
    """Small blocks and few programs, so that small matrices have several tiles and loops go on."""
    sizes = {"TILE": 16, "VECTOR": 16, "FLAT": 32, "MOST_SEGMENTS": 2, "MOST_PARTS": 4, "MOST_PROGRAMS": 4}
    for module in (batch, programs):
        for name, size in sizes.items():
            if hasattr(module, name):
                setattr(module, name, size)


def mend_interpreter() -> None:
    """It takes a condition of one number for an fp32 number where that meets a block."""
    from triton.runtime import interpreter

    def create_splat(_builder: Any, kind: Any, given: Any) -> Any:
        data = np.full(kind.shape, given.data, dtype=given.data.dtype)
        return interpreter.TensorHandle(data, given.dtype.scalar)

    interpreter.InterpreterBuilder.create_splat = create_splat


def errors(text: str, numerics: Any) -> dict[str, tuple[float, float]]:
    """For every tensor after every step the relative error, and what rounding of every value explains."""
    optimizer_class = muondsl.load(text, numerics=numerics, precision="fp32")
    programs_by_route = {each.route: each for each in pipeline(text, Options(numerics, "fp32")).program().programs()}
    shapes = [("matrix", shape) for shape in MATRICES]
    shapes += [("otherwise", shape) for shape in OTHERS if "otherwise" in programs_by_route]
    generator = torch.Generator().manual_seed(1)
    parameters = [Parameter(torch.randn(shape, generator=generator)) for _, shape in shapes]
    make: Any = optimizer_class
    optimizer = make(
        [{"params": [p], "route": route} for p, (route, _) in zip(parameters, shapes, strict=True)], backend="triton"
    )
    hypers = {hyper.name: optimizer.param_groups[0][hyper.name] for hyper in optimizer.hypers}
    found = {}
    for step in range(1, STEPS + 1):
        starts = []
        for parameter, (route, _) in zip(parameters, shapes, strict=True):
            parameter.grad = torch.randn(parameter.shape, generator=generator)
            start = parameter.detach().double().clone()
            kept = {name: value.double().clone() for name, value in optimizer.state[parameter].items()}
            starts.append((start, kept or initial_state(programs_by_route[route], start, parameter.grad)))
        optimizer.step()
        for parameter, (route, shape), (start, kept) in zip(parameters, shapes, starts, strict=True):
            given = (programs_by_route[route], start, parameter.grad, kept, hypers, step)
            exact = interpret(*given)
            noisy = [interpret(*given, Noise(torch.float32, seed)) for seed in range(3)]
            now = {"parameter": parameter.detach(), **optimizer.state[parameter]}
            for name, expected in exact.items():
                where = f"{numerics} {route} {shape}, step {step}, {name}"
                found[where] = error(now[name].double(), expected, [each[name] for each in noisy])
    return found


def error(found: Tensor, expected: Tensor, noisy: list[Tensor]) -> tuple[float, float]:
    is_held = all(bool(each.isfinite().all()) and float(each.abs().max()) < 3e38 for each in (expected, *noisy))
    if not is_held or float((found - expected).abs().max()) < SMALLEST:
        return 0.0, 0.0
    size = float(expected.norm()) + 1e-30
    return float((found - expected).norm()) / size, max(float((each - expected).norm()) / size for each in noisy)


def main(path: str, texts: dict[str, str]) -> None:
    shrink_blocks()
    mend_interpreter()
    found = {}
    for title, text in texts.items():
        for numerics in NUMERICS:
            found |= {f"{title}, {where}": pair for where, pair in errors(text, numerics).items()}
    torch.save(found, path)


if __name__ == "__main__":
    seeds = range(*map(int, sys.argv[2:])) if sys.argv[2:] else ()
    random = {f"seed {seed}": SpecWriter(seed).text().replace(": bf16 =", ": fp32 =") for seed in seeds}
    main(sys.argv[1], random or {"squares": SQUARES, "names": NAMES})
