"""The functions of the language: how each is called, by name. What they compute is in `docs/language.md`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from muondsl.check.typed import Reduction

UNARY = ("sqrt", "abs", "sign", "exp", "log", "tanh", "floor")
"""One scalar or tensor, element by element."""

EXTREMA = ("min", "max")
"""Two or more scalars or tensors, element by element; of one tensor, a reduction."""

REDUCTIONS: dict[str, Reduction] = {"sum": "sum", "mean": "mean", "norm": "norm", "max": "max", "min": "min"}
LISTS = ("take", "cycle", "last", "join", "range", "scaled", "polar_express", "cans")
WHOLES = ("svd", "identity", "trace", "solve_lower", "oriented", "quantile")
"""Of matrices as wholes."""

USAGE = {
    **{name: f"{name}(x)" for name in UNARY},
    **{name: f"{name}(x, over = rows)" for name in REDUCTIONS},
    **{name: f"{name}(x, y, …)` or `{name}(x, over = rows)" for name in EXTREMA},
    "lerp": "lerp(start, end, weight)",
    "take": "take(list, count)",
    "cycle": "cycle(list, count)",
    "last": "last(list, count)",
    "join": "join(list, list, …)",
    "range": "range(count)",
    "scaled": "scaled(table, factor)",
    "polar_express": "polar_express(lower = 1e-3, steps = 5, safety = 0.02, cushion = 0.02)",
    "cans": "cans(lower = 1e-3, steps = 5)",
    "svd": "svd(x)",
    "identity": "identity(x)",
    "trace": "trace(x)",
    "solve_lower": "solve_lower(t, x)",
    "oriented": "oriented(x)",
    "quantile": "quantile(x, level)",
}
"""Every function with a pattern of its use, for diagnostics."""

ROUTE_USAGE = {"named": 'named("glob", …)', "role": "role(embedding, …)"}

RESERVED = frozenset(
    {
        *USAGE,
        *ROUTE_USAGE,
        "zeros",
        "ones",
        "short",
        "long",
        "inf",
        "none",
        "ndim",
        "rest",
        "otherwise",
        "matrix",
    }
)
"""Words that cannot be declared, beside the names built in."""
