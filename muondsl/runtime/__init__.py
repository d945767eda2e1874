"""What generated optimizers import, and nothing else of muondsl is needed to run them.

Requires torch, and Triton where there is a GPU. Names are found when they are asked for: the compiler reads the tables
of this package without importing torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from muondsl.runtime.backend import BackendName
    from muondsl.runtime.declarations import Checkpoint, Hyper, HyperValue, State
    from muondsl.runtime.optimizer import ParamsT, SpecOptimizer
    from muondsl.runtime.options import Options
    from muondsl.runtime.routing import Parameter, Predicate
    from muondsl.runtime.routing_table import RoutedParameter, Routing, ScaleFunction

__all__ = [
    "BackendName",
    "Checkpoint",
    "Hyper",
    "HyperValue",
    "Options",
    "Parameter",
    "ParamsT",
    "Predicate",
    "RoutedParameter",
    "Routing",
    "ScaleFunction",
    "SpecOptimizer",
    "State",
]

MODULES = {
    "backend": ("BackendName",),
    "declarations": ("Checkpoint", "Hyper", "HyperValue", "State"),
    "optimizer": ("ParamsT", "SpecOptimizer"),
    "options": ("Options",),
    "routing": ("Parameter", "Predicate"),
    "routing_table": ("RoutedParameter", "Routing", "ScaleFunction"),
}


def __getattr__(name: str) -> Any:
    for module, names in MODULES.items():
        if name in names:
            return getattr(import_module(f"muondsl.runtime.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
