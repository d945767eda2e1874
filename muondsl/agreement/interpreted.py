"""Generated kernels in Triton's interpreter: a process of its own, because kernels are defined for it or for a GPU.

In: generated classes with starts and gradients. Out: what a step makes of them. The files are those that a user's
process imports, not a byte changed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from muondsl.agreement.trial import HyperValues, Values
    from muondsl.runtime import SpecOptimizer

SHORT_FORMS = 32
"""The longest short side that is iterated in one launch here, and any above it may take Gram space: of matrices that
take the interpreter a second, some take each form.
"""


@dataclass(frozen=True)
class Request:
    """A class by its module's file, and its parameters, each with its route."""

    path: Path
    name: str
    starts: Sequence[tuple[str, Tensor]]
    gradients: Sequence[Sequence[Tensor]]
    hypers: HyperValues

    @classmethod
    def of(
        cls,
        optimizer: type[SpecOptimizer],
        starts: Sequence[tuple[str, Tensor]],
        gradients: Sequence[Sequence[Tensor]],
        hypers: HyperValues,
    ) -> Request:
        file = sys.modules[optimizer.__module__].__file__
        assert file is not None
        return cls(Path(file), optimizer.__name__, starts, gradients, hypers)


def has_triton() -> bool:
    return find_spec("triton") is not None


def run_interpreted(requests: Sequence[Request]) -> list[list[list[Values]]]:
    """For each request what `run_steps` found. Raises RuntimeError, with what it wrote, if the process fails."""
    with TemporaryDirectory(prefix="muondsl-") as folder:
        path = Path(folder) / "exchange.pt"
        given = [vars(request) | {"path": str(request.path)} for request in requests]
        torch.save(given, path)
        places = [str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
        finished = subprocess.run(
            [sys.executable, "-m", "muondsl.agreement.interpret", str(path)],
            env={**os.environ, "TRITON_INTERPRET": "1", "PYTHONPATH": os.pathsep.join(places)},
            capture_output=True,
            text=True,
            check=False,
        )
        if finished.returncode:
            raise RuntimeError(f"kernels stopped in Triton's interpreter:\n{finished.stderr.strip()}")
        found: list[list[list[Values]]] = torch.load(path, weights_only=True)
        return found
