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
LISTS = ("take", "range")

USAGE = {
    **{name: f"{name}(x)" for name in UNARY},
    **{name: f"{name}(x, over = rows)" for name in REDUCTIONS},
    **{name: f"{name}(x, y, …)` or `{name}(x, over = rows)" for name in EXTREMA},
    "lerp": "lerp(start, end, weight)",
    "take": "take(list, count)",
    "range": "range(count)",
}
"""Every function with a pattern of its use, for diagnostics."""

ROUTE_USAGE = {"named": 'named("glob", …)'}

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
