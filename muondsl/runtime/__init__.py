"""What generated optimizers import, and nothing else of muondsl is needed to run them.

Requires torch, and Triton where there is a GPU. Names are found when they are asked for: the compiler reads the tables
of this package without importing torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from muondsl.runtime.backend import BackendName
    from muondsl.runtime.declarations import Checkpoint, Hyper, HyperValue, Parameter, Route, State
    from muondsl.runtime.optimizer import ParamsT, SpecOptimizer

__all__ = [
    "BackendName",
    "Checkpoint",
    "Hyper",
    "HyperValue",
    "Parameter",
    "ParamsT",
    "Route",
    "SpecOptimizer",
    "State",
]

MODULES = {
    "backend": ("BackendName",),
    "declarations": ("Checkpoint", "Hyper", "HyperValue", "Parameter", "Route", "State"),
    "optimizer": ("ParamsT", "SpecOptimizer"),
}


def __getattr__(name: str) -> Any:
    for module, names in MODULES.items():
        if name in names:
            return getattr(import_module(f"muondsl.runtime.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
