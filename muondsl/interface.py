"""Specs as Python: the text of a generated module, and the optimizer class itself."""

from __future__ import annotations

import builtins
import importlib.util
import os
import sys
from functools import cache
from hashlib import sha256
from importlib.machinery import SourceFileLoader
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

from muondsl.diagnostics.span import Source
from muondsl.emit.write import write
from muondsl.parse import read
from muondsl.pipeline import Options, Pipeline

if TYPE_CHECKING:
    from types import CodeType, ModuleType
    from typing import Any

    from muondsl.check import CheckedSpec
    from muondsl.emit import GeneratedFile
    from muondsl.ir.types import Format
    from muondsl.optimize import Numerics
    from muondsl.runtime import ParamsT, SpecOptimizer

    class LoadedOptimizer(SpecOptimizer):
        """What a type checker can know of a class whose spec it does not read."""

        def __init__(self, params: ParamsT, **hypers_and_options: Any) -> None: ...


def pipeline(spec: str | Path, options: Options) -> Pipeline:
    """The stages of a spec given as a path, or as text: a string with a line end in it is text."""
    if isinstance(spec, str) and "\n" in spec:
        return Pipeline(Source("<text>", spec), Path(), options)
    path = Path(spec)
    return Pipeline(read(path), path.parent, options)


def compile(
    spec: str | Path, *, numerics: Numerics = "fast", precision: Format | None = None, standalone: bool = False
) -> str:
    """The text of the module that a spec yields.

    Args:
        spec: a path, or the text of a spec.
        numerics: `faithful` keeps the order of operations as the spec writes it, `fast` may reassociate.
        precision: a number format for every `in` block: `bf16`, `fp16`, `fp32` or `fp64`.
        standalone: whether the module is to run where muondsl is not installed.

    Raises SpecError, which holds every error of the spec with its place.
    """
    return generate(spec, Options(numerics, precision, standalone)).text


def generate(spec: str | Path, options: Options) -> GeneratedFile:
    return pipeline(spec, options).file()


def load(spec: str | Path, *, numerics: Numerics = "fast", precision: Format | None = None) -> type[LoadedOptimizer]:
    """The optimizer class of a spec, compiled into a cache that is keyed by what is generated.

    Arguments and errors are those of `compile`. The same spec and options yield the same class object. Instances can be
    unpickled where the same spec was loaded before; classes that other processes must find are compiled into a module
    that they import. `MUONDSL_CACHE` names another directory for the cache.
    """
    stages = pipeline(spec, Options(numerics, precision))
    return load_file(stages.file(), stages.checked())


def load_file(file: GeneratedFile, checked: CheckedSpec) -> type[LoadedOptimizer]:
    """The class in a file that was generated from a spec. Raises SpecError where the cache cannot be written."""
    key = sha256(file.text.encode()).hexdigest()[:16]
    folder = _cache() / key
    path = folder / file.name
    if not path.is_file() or path.read_text("utf-8") != file.text:
        path.unlink(missing_ok=True)
        write(file, folder, checked.span)
    module = _import(f"muondsl_generated_{key}", path)
    found: type[LoadedOptimizer] = getattr(module, checked.name)
    return found


def _cache() -> Path:
    """A directory of the user's own, because what it holds is run; where there is none, a new one for this process."""
    chosen = os.environ.get("MUONDSL_CACHE")
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = Path(chosen) if chosen else home / "muondsl"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return _folder_of_the_process()
    return folder


@cache
def _folder_of_the_process() -> Path:
    return Path(mkdtemp(prefix="muondsl-"))


class _SourceOnly(SourceFileLoader):
    """Compiles the source, and never takes bytecode that lies beside it."""

    def get_code(self, fullname: str) -> CodeType:
        return builtins.compile(self.get_data(self.path), self.path, "exec", dont_inherit=True)


def _import(name: str, path: Path) -> ModuleType:
    if name in sys.modules:
        return sys.modules[name]
    loader = _SourceOnly(name, str(path))
    found = importlib.util.spec_from_loader(name, loader)
    assert found is not None
    module = importlib.util.module_from_spec(found)
    sys.modules[name] = module
    try:
        loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
