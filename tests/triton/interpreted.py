"""What a module of cases yields in Triton's interpreter, which has to be chosen before kernels are defined.

A module of cases is run as `python -m MODULE PATH` in a process of its own and saves to PATH, with `torch.save`, a dict
from the name of a case to what it found. The process is started once for all tests that ask for the module.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parents[2]


def interpreted(module: str) -> dict[str, Any]:
    """The findings of all cases of a module. Raises AssertionError, each time, if its process has failed."""
    found, error = _findings_or_error(module)
    assert not error, f"{module} failed in the interpreter:\n{error}"
    return found


@cache
def _findings_or_error(module: str) -> tuple[dict[str, Any], str]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "found.pt"
        done = subprocess.run(
            [sys.executable, "-m", module, str(path)],
            cwd=ROOT,
            env={**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            return {}, done.stderr[-4000:] or f"exit status {done.returncode}"
        return torch.load(path, weights_only=False), ""
