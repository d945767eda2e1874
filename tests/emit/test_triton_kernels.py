"""The text of kernels and of what launches them: names that do not clash, types that a compiler takes, no line unused.

What kernels compute is tested in `tests/triton`.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import muondsl
from muondsl.emit.triton_kernels import DEVICE_FUNCTIONS, RESERVED
from muondsl.ir.reserved import RUNTIME, is_usable_class
from muondsl.optimize import NUMERICS
from tests.schedule.random_specs import NAMES, SpecWriter


def spec(*lines: str, head: str = "", name: str = "Example") -> str:
    return "\n".join([f"optimizer {name}", "hyper lr = 0.1", head, "momentum {", *lines, "}", ""])


def kernels(text: str) -> dict[str, str]:
    """The functions of a generated module that run on the device."""
    functions = [each for each in ast.parse(text).body if isinstance(each, ast.FunctionDef)]
    return {each.name: ast.get_source_segment(text, each) or "" for each in functions if each.name.endswith("_kernel")}


def loop_and_before(kernel: str) -> tuple[str, str]:
    before, _, loop = kernel.partition("for index in range(work.begin, work.end):")
    return before, loop


def assigned(text: str) -> set[str]:
    return set(re.findall(r"^ *(\w+) = ", text, re.MULTILINE))


def random_modules() -> list[str]:
    return [muondsl.compile(SpecWriter(seed).text(), numerics=NUMERICS[seed % 2]) for seed in range(12)]


@pytest.fixture(scope="module")
def modules() -> list[str]:
    return random_modules()


def test_nothing_is_undefined_or_unused(modules: list[str], tmp_path: Path) -> None:
    for number, text in enumerate(modules):
        (tmp_path / f"module_{number}.py").write_text(text)
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F,E9", "--quiet", str(tmp_path)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr


def test_every_function_and_argument_is_named_once(modules: list[str]) -> None:
    for text in modules:
        functions = [each for each in ast.parse(text).body if isinstance(each, ast.FunctionDef)]
        assert max(Counter(each.name for each in functions).values()) == 1
        for each in functions:
            names = [argument.arg for argument in each.args.args]
            assert len(set(names)) == len(names)


def test_no_name_is_used_before_the_loop_and_again_in_it(modules: list[str]) -> None:
    """Triton would carry it from turn to turn; a number would be another one in the second."""
    for text in modules:
        for kernel in kernels(text).values():
            before, loop = loop_and_before(kernel)
            carried = assigned(before) & assigned(loop)
            joined = {name for name in carried if re.search(rf"^ *{name} = m..imum\(\s*{name},", loop, re.MULTILINE)}
            assert carried == joined, kernel


def test_the_same_spec_has_the_same_text(modules: list[str]) -> None:
    script = "from tests.emit.test_triton_kernels import random_modules; print(hash(0), random_modules()[3])"
    for seed in ("1", "2"):
        found = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
        )
        assert modules[3] in found.stdout


def test_number_that_is_loaded_before_the_loop_keeps_its_name_in_it() -> None:
    text = spec(
        "let size = norm(update) + 1", "update <- update / size", "let bound = max(update, size)", "update <- bound"
    )
    for kernel in kernels(muondsl.compile(text)).values():
        before, loop = loop_and_before(kernel)
        assert not assigned(before) & assigned(loop)


def test_condition_that_crosses_kernels_is_one_again() -> None:
    text = spec(
        "let large = update > 0.5",
        "update <- update / norm(update) + (if large then 0.25 else update)",
        "let first = norm(update) > 3",
        "update <- update / (1 + norm(update)) + (if first then update else 1)",
    )
    loads = re.findall(r"large = (load_.*)", muondsl.compile(text))
    assert all(load.endswith("!= 0") for load in loads)


def test_condition_of_the_host_is_compared_with_zero() -> None:
    (kernel,) = [
        text
        for name, text in kernels(
            muondsl.compile(spec("update <- if update > 1 or rows == 3 then update else 2"))
        ).items()
        if "scalars" not in name
    ]
    assert re.search(r"tl\.where\(\(update > 1\) \| \(\w+ != 0\), update, 2\.0\)", kernel.replace("gradient", "update"))


def test_whole_numbers_in_functions_are_of_fp32() -> None:
    """`tl.where` of two integers is an integer, and its products overflow."""
    text = muondsl.compile(
        spec("update <- (if update > 0 then 100000 else 1) * (if update > 1 then 100000 else -3) * update**2")
    )
    assert "100000.0, 1.0)" in text
    assert "100000.0, -3.0)" in text
    assert "power(gradient, 2.0)" in text


def test_states_may_be_called_as_tables_are() -> None:
    text = spec(
        *(f"state {name}[rows, 1] = ones" for name in ("shapes", "programs", "scalars")),
        *(f"{name} <- 0.5*{name} + lr*mean(update, over = cols)" for name in ("shapes", "programs", "scalars")),
        "update <- update + shapes + programs + scalars",
    )
    for kernel in kernels(muondsl.compile(text)).values():
        for argument in ("shapes_ptr", "scalars_ptr"):
            assert len(re.findall(rf"^    {argument},", kernel, re.MULTILINE)) == 1


def test_hypers_may_be_called_as_parts_of_tuples_are() -> None:
    head = "hyper betas = (0.9, 0.5)\nhyper betas0 = 0.25"
    text = muondsl.compile(spec("update <- betas[0]*update + betas0*parameter", head=head))
    kernel = next(text for name, text in kernels(text).items() if "scalars" in name)
    assert len(assigned(kernel) & {"betas0", "betas0_2"}) == 2


def test_one_table_of_coefficients_in_two_formats_makes_two_iterations() -> None:
    text = spec("newton_schulz(3, dtype = bf16)", "newton_schulz(3, dtype = fp16)")
    found = re.findall(
        r"^(\w+) = Iteration\(\n? *coefficients=(\w+),\n? *dtype=([\w.]+)", muondsl.compile(text), re.MULTILINE
    )
    assert [each[2] for each in found] == ["torch.bfloat16", "torch.float16"]
    assert len({each[0] for each in found}) == 2
    assert len({each[1] for each in found}) == 1


def test_iteration_without_a_format_has_the_parameters() -> None:
    text = muondsl.compile(spec("update <- update / (norm(update) + 1)", "odd_quintic(2, [(2, -1.5, 0.5)])"))
    assert "dtype=batch.dtype" in text


def test_iteration_has_another_name_than_the_class() -> None:
    text = muondsl.compile(spec("newton_schulz()", name="MOMENTUM"))
    assert "MOMENTUM_ITERATION = Iteration(" in text


def test_coefficients_are_spelled_as_python_does() -> None:
    compile(muondsl.compile(spec("odd_quintic(1, [(007, -0003, 00)])", "update <- update * 012")), "module", "exec")


def test_flat_kernels_run_along_all_elements() -> None:
    text = muondsl.compile(Path("specs/moonlight.muon"))
    (kernel,) = [text for name, text in kernels(text).items() if "otherwise_adamw" in name]
    assert 'work_of(programs_ptr, shapes_ptr, "flat", IS_ALIGNED)' in kernel


def test_names_of_device_functions_are_no_names_of_classes_or_values() -> None:
    functions = {name for names in DEVICE_FUNCTIONS.values() for name in names}
    assert functions <= RESERVED
    assert functions <= RUNTIME
    assert not any(is_usable_class(name) for name in functions)
    assert {"load_tile", "power", "shapes_ptr", "tl"} <= set(NAMES) & RESERVED
