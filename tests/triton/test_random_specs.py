"""Generated kernels of random specs do what the oracle does, as far as fp32 allows."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.triton.interpreted import ROOT


def worst(folder: Path, *seeds: int) -> float:
    """The worst error of the specs of these seeds, from first to last. Each has to be what rounding explains."""
    path = folder / "errors.pt"
    done = subprocess.run(
        [sys.executable, "-m", "tests.triton.interpret_random_specs", str(path), *map(str, seeds)],
        cwd=ROOT,
        env={**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    found: dict[str, tuple[float, float]] = torch.load(path)
    for where, (error, explained) in found.items():
        assert error <= 40 * explained + 2e-5, f"{where}: {error:.1e}, of which rounding explains {explained:.1e}"
    return max(error for error, explained in found.values() if explained < 1e-5)


def test_kernels_on_squares_and_with_names_of_their_own_do_what_the_oracle_does(tmp_path: Path) -> None:
    assert worst(tmp_path) < 1e-4


@pytest.mark.slow
def test_kernels_of_random_specs_do_what_the_oracle_does(tmp_path: Path) -> None:
    assert worst(tmp_path, 0, 1) < 1e-4


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("start", range(100, 148, 6))
def test_kernels_of_many_more_random_specs_do_what_the_oracle_does(tmp_path: Path, start: int) -> None:
    assert worst(tmp_path, start, start + 6) < 1e-4
