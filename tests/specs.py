"""The specs of the repository: those on which every test runs, and those on which costly ones run when all tests do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from muondsl.check import CheckedSpec

SPECS = Path(__file__).parents[1] / "specs"

CORE = ("keller_jordan", "moonlight", "nanochat", "torch_muon", "torch_muon_plain")
"""One and two routes, all that a step can do without functions of whole matrices."""

ALL = tuple(sorted(path.stem for path in SPECS.glob("*.muon")))

WITHOUT_MATRICES = ("adamw", "lion", "nadamw", "sgd_momentum")
"""Those of `otherwise` alone, which step a parameter of any shape."""

WITHOUT_KERNELS = (
    "htmuon",
    "mud",
    "polargrad",
    "procrustes_newton_schulz",
    "procrustes_svd",
    "root",
    "turbo_muon",
)
"""Those which keep to torch on a GPU, because they use a function of whole matrices or sum up rows of a product."""

WITH_KERNELS = tuple(name for name in ALL if name not in WITHOUT_KERNELS)


def path_of(name: str) -> Path:
    """From the working directory, as a user gives it."""
    return Path("specs", f"{name}.muon")


def each_of(names: tuple[str, ...], *, is_costly: bool = False) -> list[Any]:
    """Parameters of a test; where a case takes more than some 0.3 s, all but the core are for `make test-slow`."""
    return [
        pytest.param(name, marks=pytest.mark.slow if is_costly and name not in CORE else (), id=name) for name in names
    ]


every_spec = pytest.mark.parametrize("name", each_of(ALL))
every_spec_costly = pytest.mark.parametrize("name", each_of(ALL, is_costly=True))


HyperValue = float | tuple[float, ...]


def defaults_of(spec: CheckedSpec) -> dict[str, HyperValue]:
    """Its hypers, as far as nothing is said about them."""
    return {
        hyper.name: tuple(float(str(part)) for part in hyper.default)
        if isinstance(hyper.default, tuple)
        else float(str(hyper.default))
        for hyper in spec.hypers
    }
