"""muondsl: optimizers of the Muon family, written as specs and compiled to torch.

`compile` yields the text of a generated module, `load` the optimizer class itself, `verify` compares every path with
the float64 oracle, `convert` makes the checkpoint of one optimizer that of another. Importing this package imports
neither torch nor the compiler; the functions do when they are used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["ConversionError", "SpecError", "compile", "convert", "load", "verify"]

if TYPE_CHECKING:
    from muondsl.agreement import verify
    from muondsl.conversion.convert import convert
    from muondsl.conversion.finding import ConversionError
    from muondsl.diagnostics.spec_error import SpecError
    from muondsl.interface import compile, load

_HOMES = {
    "compile": "interface",
    "load": "interface",
    "convert": "conversion.convert",
    "verify": "agreement",
    "SpecError": "diagnostics.spec_error",
    "ConversionError": "conversion.finding",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
