"""The process that `interpreted` starts: `python -m muondsl.agreement.interpret PATH`, with TRITON_INTERPRET=1.

Reads requests from the file and writes what was found there.
"""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from types import ModuleType
from typing import TYPE_CHECKING, Any

import torch

from muondsl.agreement.interpreted import SHORT_FORMS
from muondsl.agreement.quicken import quicken_interpreter
from muondsl.agreement.run_steps import run_steps
from muondsl.runtime.iteration import Iteration

if TYPE_CHECKING:
    from muondsl.agreement.trial import Values


def main(path: str) -> None:
    torch.set_num_threads(1)
    quicken_interpreter()
    found = [_run(request, index) for index, request in enumerate(torch.load(path, weights_only=True))]
    torch.save(found, path)


def _run(request: dict[str, Any], index: int) -> list[list[Values]]:
    module = _import(f"interpreted_{index}", request["path"])
    _lower_forms(module)
    optimizer = getattr(module, request["name"])
    return run_steps(optimizer, request["starts"], request["gradients"], request["hypers"], backend="triton")


def _import(name: str, path: str) -> ModuleType:
    # No bytecode is left beside generated files.
    sys.dont_write_bytecode = True
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _lower_forms(module: ModuleType) -> None:
    """Lets small matrices take the forms of large ones."""
    for name, value in list(vars(module).items()):
        if isinstance(value, Iteration):
            gram = value.gram and replace(value.gram, shortest=1)
            setattr(module, name, replace(value, small=min(value.small, SHORT_FORMS), gram=gram))


if __name__ == "__main__":
    main(sys.argv[1])
