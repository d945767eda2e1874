"""A launch becomes a binary for a target that need not be present: `Launch, Target → Compiled`.

Triton's own binder decides what a kernel is specialised on, so the binary is the one that a launch on the target makes:
pointers and integers that 16 divides, integers equal to 1, buffers below 2 GiB on AMD.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from muondsl.aot.errors import CompilationFailedError, TritonUnavailableError
from muondsl.aot.targets import Target
from muondsl.runtime.launch import Launch


@dataclass(frozen=True, slots=True, eq=False)
class Compiled:
    """A kernel's binary with every text on the way to it: `texts` has `ttgir` and either `ptx` or `amdgcn`.

    `signature` and `constants` are by the parameter's name. `shared` is what the launch asks for, in bytes, and
    `tensor_memory` what the kernel allocates, in columns. `key` is equal for equal binaries.
    """

    name: str
    target: Target
    key: str
    signature: Mapping[str, str]
    constants: Mapping[str, Any]
    warps: int
    stages: int
    shared: int
    tensor_memory: int
    texts: Mapping[str, str]
    binary: bytes


_COMPILED: dict[str, Compiled] = {}


def compile_launch(launch: Launch, target: Target) -> Compiled:
    """Compiles a launch's kernel for its arguments, which may lie on any device. Equal ones are compiled once.

    Raises TritonUnavailableError where there is no compiler and CompilationFailedError where it refuses the kernel.
    """
    require_compiler(launch)
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource, make_backend
    from triton.compiler import compile as compile_source

    kernel = launch.kernel
    chip = GPUTarget(target.backend, target.architecture, target.warp_size)
    try:
        signature, constants, attributes, options = _specialise(launch, make_backend(chip))
        source = ASTSource(kernel, signature, constants, attributes)
        key = f"{source.hash()} {sorted(options.items(), key=str)} {target.name}"
        if key not in _COMPILED:
            compiled = compile_source(source, target=chip, options=options)
            _COMPILED[key] = _collect(launch, target, key, source, compiled)
    except Exception as error:
        # Triton raises classes of its own, of MLIR, of LLVM and of subprocess; the kernel's name is in none of them.
        raise CompilationFailedError(f"{launch.name} does not compile for {target.name}: {_origin(error)}") from error
    return _COMPILED[key]


def _origin(error: BaseException) -> BaseException:
    """The error where it arose: Triton raises one for each device function on the way out, and only the first says
    what is wrong.
    """
    return _origin(error.__cause__) if error.__cause__ else error


def require_compiler(launch: Launch) -> None:
    """Raises TritonUnavailableError unless this process can compile the launch's kernel."""
    try:
        from triton.runtime.jit import JITFunction
    except ImportError:
        raise TritonUnavailableError(
            "kernels are compiled by Triton, which is not installed: pip install triton"
        ) from None
    if not isinstance(launch.kernel, JITFunction):
        raise TritonUnavailableError(
            f"{launch.name} was defined for Triton's interpreter, which compiles nothing: "
            "unset TRITON_INTERPRET and start again"
        )


def _specialise(
    launch: Launch, backend: Any
) -> tuple[dict[str, str], dict[tuple[int], Any], dict[tuple[int], Any], dict[str, Any]]:
    """Signature, constants, attributes and options, as `JITFunction.run` packs them for `triton.compile`."""
    given = {
        "num_warps": launch.warps,
        "num_stages": launch.stages,
        "enable_fp_fusion": True,
        **launch.options,
    }
    bound, specialization, _ = _binder(launch.kernel, backend.target)(*launch.arguments, **launch.constants, **given)
    options = backend.parse_options(given)
    unknown = [name for name in given if name not in options.__dict__]
    if unknown:
        raise KeyError(f"the target has no option {', '.join(unknown)}")
    signature = {}
    constants = {}
    attributes = {}
    for index, (parameter, (kind, divisibility)) in enumerate(zip(bound, specialization, strict=True)):
        signature[parameter] = kind
        if kind == "constexpr":
            constants[(index,)] = bound[parameter]
        elif isinstance(divisibility, str):
            attributes[(index,)] = backend.parse_attr(divisibility)
    return signature, constants, attributes, dict(options.__dict__)


@cache
def _binder(kernel: Any, chip: Any) -> Any:
    from triton.compiler import make_backend
    from triton.runtime.jit import create_function_from_signature

    return create_function_from_signature(kernel.signature, kernel.params, make_backend(chip))


def _collect(launch: Launch, target: Target, key: str, source: Any, compiled: Any) -> Compiled:
    names = launch.kernel.arg_names
    return Compiled(
        name=launch.name,
        target=target,
        key=key,
        signature=dict(source.signature),
        constants={names[index]: value for (index,), value in source.constants.items()},
        warps=compiled.metadata.num_warps,
        stages=launch.stages,
        shared=compiled.metadata.shared,
        tensor_memory=getattr(compiled.metadata, "tmem_size", None) or 0,
        texts={kind: text for kind, text in compiled.asm.items() if isinstance(text, str)},
        binary=bytes(compiled.kernel),
    )
