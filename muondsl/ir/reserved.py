"""Names that generated code uses for itself, so that nothing in a spec may take them."""

from __future__ import annotations

import builtins
import keyword

LOCALS = frozenset(
    {
        *("rows", "cols", "numel", "step", "short_dim", "long_dim", "all_dims", "parameter", "gradient", "state"),
        *("torch", "math", "abs", "min", "max", "range"),
    }
)
"""Names inside the functions that update a parameter: their own, and those of what they call."""

KEYWORDS = frozenset({*keyword.kwlist, *keyword.softkwlist, "self", "super"})
ARGUMENTS = frozenset({"params", "param_names", "closure", "route", "fingerprint", "defaults", "otherwise_defaults"})
"""Names of the class's own arguments, and of what param_groups hold beside hypers."""

MODULE = frozenset(
    {
        *("Any", "Callable", "ClassVar", "Iterable", "Mapping", "Optimizer", "Tensor", "annotations", "math", "torch"),
        *(
            "Checkpoint",
            "Hyper",
            "HyperValue",
            "Parameter",
            "ParamsT",
            "Route",
            "SpecOptimizer",
            "State",
            "SupportsFloat",
        ),
        *("abstractmethod", "copy", "dataclass", "fnmatchcase", "overload", "update_matrix", "update_otherwise"),
        *("MATRIX", "OTHERWISE"),
    }
)
"""Names of the module, which also a standalone file has."""


def is_usable(name: str) -> bool:
    """Whether a hyper or state may have the name: it becomes an argument of functions and an entry of dictionaries."""
    is_taken = name in KEYWORDS | ARGUMENTS | LOCALS
    return not (is_taken or name.startswith(("_", "otherwise_")))


def is_usable_class(name: str) -> bool:
    return not (name in KEYWORDS | MODULE or name.startswith("_") or hasattr(builtins, name))
