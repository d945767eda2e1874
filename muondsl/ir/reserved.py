"""Names that generated code uses for itself, so that nothing in a spec may take them."""

from __future__ import annotations

import builtins
import keyword

LOCALS = frozenset(
    {"torch", "math", "rows", "cols", "numel", "step", "short_dim", "long_dim", "parameter", "gradient", "state"}
)
"""Names inside the functions that update a parameter."""

KEYWORDS = frozenset({*keyword.kwlist, *keyword.softkwlist, "self"})
ARGUMENTS = frozenset({"params", "param_names", "closure", "route", "fingerprint", "defaults", "otherwise_defaults"})
"""Names of the class's own arguments, and of what param_groups hold beside hypers."""

MODULE = frozenset(
    "Any Callable Checkpoint ClassVar Hyper HyperValue Iterable Mapping Optimizer Parameter ParamsT Route SpecOptimizer "
    "State Tensor abstractmethod annotations copy dataclass fnmatchcase math overload torch update_matrix "
    "update_otherwise MATRIX OTHERWISE".split()  # noqa: SIM905
)
"""Names of the module, which also a standalone file has."""


def is_usable(name: str) -> bool:
    """Whether a hyper or state may have the name: it becomes an argument of functions and an entry of dictionaries."""
    is_taken = name in KEYWORDS | ARGUMENTS | LOCALS
    return not (is_taken or name.startswith(("_", "otherwise_")))


def is_usable_class(name: str) -> bool:
    return not (name in KEYWORDS | MODULE or name.startswith("_") or hasattr(builtins, name))
