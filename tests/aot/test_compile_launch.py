"""What a kernel is specialised on, that equal kernels are compiled once, and what is said where none can be."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from muondsl.aot.compile_launch import compile_launch
from muondsl.aot.errors import CompilationFailedError, TritonUnavailableError, UnknownTargetError
from muondsl.aot.targets import TARGETS, find_target
from muondsl.runtime.launch import Launch
from muondsl.runtime.triton_language import MissingKernel
from tests.aot.kernels import arguments_kernel, copy_launch, refused_kernel, tl

SM_90 = TARGETS["sm_90"]


def arguments() -> Launch:
    memory = torch.zeros(64)
    return Launch(arguments_kernel, 1, (memory, memory[1:], 1, 48, 7, 2**40, 0.5), {"FLAG": True}, warps=2, stages=3)


def test_arguments_are_specialised_as_a_launch_on_the_device_does() -> None:
    compiled = compile_launch(arguments(), SM_90)
    assert compiled.signature == {
        "aligned_ptr": "*fp32",
        "shifted_ptr": "*fp32",
        "one": "constexpr",
        "sixteen": "i32",
        "seven": "i32",
        "large": "i64",
        "fraction": "fp32",
        "FLAG": "constexpr",
    }
    assert compiled.constants == {"one": 1, "FLAG": True}
    header = next(line for line in compiled.texts["ttgir"].splitlines() if "tt.func public" in line)
    divisible = [word for word in header.split("%")[1:] if "tt.divisibility = 16" in word]
    assert [word.split(":")[0] for word in divisible] == ["aligned_ptr", "sixteen", "large"]
    assert (compiled.warps, compiled.stages) == (2, 3)


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_a_kernel_compiles_without_a_device(target) -> None:
    compiled = compile_launch(copy_launch(tl.float32, is_aligned=True), target)
    assert compiled.binary.startswith(b"\x7fELF")
    assert compiled.texts["ptx" if target.backend == "cuda" else "amdgcn"]


def test_contraction_is_allowed_whatever_the_environment_says() -> None:
    assert "fma.rn.f32" in compile_launch(arguments(), SM_90).texts["ptx"]


def test_equal_launches_are_compiled_once() -> None:
    first = compile_launch(copy_launch(tl.float32, is_aligned=True, title="a"), SM_90)
    assert compile_launch(copy_launch(tl.float32, is_aligned=True, title="b"), SM_90) is first
    assert compile_launch(copy_launch(tl.float32, is_aligned=False), SM_90).key != first.key
    assert compile_launch(replace(copy_launch(tl.float32, is_aligned=True), warps=8), SM_90).key != first.key
    assert compile_launch(copy_launch(tl.float32, is_aligned=True), TARGETS["sm_80"]).key != first.key


def test_a_kernel_that_triton_refuses_is_named() -> None:
    launch = Launch(refused_kernel, 1, (torch.zeros(8),), {"BLOCK": 3})
    with pytest.raises(CompilationFailedError, match=r"refused_kernel does not compile for sm_90: (.|\n)*power of 2"):
        compile_launch(launch, SM_90)


def test_an_option_that_the_target_does_not_have_is_named() -> None:
    launch = replace(arguments(), options={"matrix_instr_nonkdim": 16})
    assert compile_launch(launch, TARGETS["gfx942"]).binary
    with pytest.raises(CompilationFailedError, match="no option matrix_instr_nonkdim"):
        compile_launch(launch, SM_90)


def test_an_unknown_target_lists_the_known_ones() -> None:
    with pytest.raises(UnknownTargetError) as caught:
        find_target("sm90")
    assert str(caught.value) == (
        "there is no target 'sm90' (did you mean sm_90?); the known targets are sm_80, sm_90, sm_100, gfx942"
    )


def test_without_triton_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "triton.runtime.jit", None)
    with pytest.raises(TritonUnavailableError, match="pip install triton"):
        compile_launch(Launch(MissingKernel(lambda: None), 1, (), {}), SM_90)


def test_under_the_interpreter_it_says_so() -> None:
    program = (
        "from muondsl.aot.compile_launch import compile_launch\n"
        "from muondsl.aot.errors import TritonUnavailableError\n"
        "from muondsl.aot.targets import TARGETS\n"
        "from tests.aot.kernels import copy_launch, tl\n"
        "try:\n"
        "    compile_launch(copy_launch(tl.float32, is_aligned=True), TARGETS['sm_90'])\n"
        "except TritonUnavailableError as error:\n"
        "    print(error)\n"
    )
    environment = {**os.environ, "TRITON_INTERPRET": "1", "PYTHONPATH": "."}
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, env=environment)
    assert done.stdout.startswith("copy_kernel was defined for Triton's interpreter")
    assert "unset TRITON_INTERPRET" in done.stdout
