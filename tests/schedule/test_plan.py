"""The plan as data: launches, buffers, what is written in place."""

from __future__ import annotations

from pathlib import Path

import pytest

from muondsl.interface import pipeline
from muondsl.ir import program as ir
from muondsl.optimize import Numerics
from muondsl.pipeline import Options
from muondsl.schedule.plan import Fresh, Inline, InPlace, Kernel, UpdatePlan
from muondsl.schedule.printer import print_plan
from tests.specs import CORE, every_spec, path_of


def plan(spec: str | Path, route: str = "matrix", numerics: Numerics = "fast") -> UpdatePlan:
    found = pipeline(spec, Options(numerics=numerics)).plan()
    update = found.matrix if route == "matrix" else found.otherwise
    assert update is not None
    return update


LAUNCHES = {"torch_muon": 4, "torch_muon_plain": 4, "moonlight": 4, "keller_jordan": 4, "nanochat": 6}


@pytest.mark.parametrize("name", LAUNCHES)
def test_launches_of_a_matrix(name: str) -> None:
    """Two before the iteration (the norm ends a kernel), one for it, and what follows. `faithful` takes it step by
    step, with three products each.
    """
    assert len(plan(path_of(name)).kernels) == LAUNCHES[name]
    assert len(plan(path_of(name), numerics="faithful").kernels) == LAUNCHES[name] - 1 + 5 * 3


def test_adamw_is_one_launch() -> None:
    assert len(plan(path_of("moonlight"), "otherwise").kernels) == 1


@every_spec
def test_every_definition_is_in_one_kernel_behind_what_it_reads(name: str) -> None:
    for update in pipeline(path_of(name), Options()).plan().updates():
        seen = {each.value for each in update.program.definitions if isinstance(each.operation, ir.Input)}
        for kernel in update.kernels:
            for assignment in kernel.assignments:
                assert set(ir.operands(assignment.definition.operation)) <= seen
                assert assignment.definition.value not in seen
                seen.add(assignment.definition.value)
        assert seen == {each.value for each in update.program.definitions}


def products(kernel: Kernel) -> int:
    kinds = ir.MatMul | ir.Gemm | ir.Quintic
    return sum(isinstance(each.definition.operation, kinds) for each in kernel.assignments)


@every_spec
def test_a_product_shares_its_kernel_with_views_alone(name: str) -> None:
    for update in pipeline(path_of(name), Options()).plan().updates():
        for kernel in update.kernels:
            work = [e for e in kernel.assignments if not isinstance(e.definition.operation, ir.Transpose | ir.Orient)]
            assert products(kernel) == (1 if kernel.kind == "product" else 0)
            assert kernel.kind == "elementwise" or len(work) == 1


@pytest.mark.parametrize("name", CORE)
def test_states_and_parameter_are_updated_in_place_without_copies(name: str) -> None:
    for update in pipeline(path_of(name), Options()).plan().updates():
        assert update.copies == ()
        for result in update.program.results:
            assert isinstance(update.assignment(result.value).placement, InPlace)


def test_a_state_that_is_read_after_its_update_is_copied_at_the_end() -> None:
    text = """
optimizer Late
hyper lr = 0.1
momentum {
  state before = zeros
  let old = before
  before <- 0.5*before + update
  update <- update - old
}
"""
    update = plan(text)
    assert [copy.target for copy in update.copies] == ["before"]
    assert isinstance(update.assignment(update.copies[0].value).placement, Fresh)


def test_a_conversion_of_a_state_is_never_written_over() -> None:
    """With parameters in bf16 the conversion is the state itself: torch.optim.Muon overwrites its momentum here."""
    update = plan(path_of("torch_muon_plain"))
    converted = next(e for k in update.kernels for e in k.assignments if isinstance(e.definition.operation, ir.Convert))
    overwritten = [e.placement.of for k in update.kernels for e in k.assignments if isinstance(e.placement, InPlace)]
    oriented = next(e for k in update.kernels for e in k.assignments if isinstance(e.definition.operation, ir.Orient))
    assert converted.definition.value not in overwritten
    assert oriented.definition.value not in overwritten


def test_the_parameter_is_read_by_one_kernel_only() -> None:
    for name in LAUNCHES:
        readers = [kernel for kernel in plan(path_of(name)).kernels if "parameter" in kernel.reads]
        assert len(readers) == 1


def test_names_are_those_of_the_spec() -> None:
    update = plan(path_of("nanochat"), numerics="faithful")
    names = {e.name for k in update.kernels for e in k.assignments if not isinstance(e.placement, Inline)}
    expected = {"momentum_buffer", "update", "s", "polynomial", "mean_square", "second_momentum_buffer"}
    assert expected <= names
    assert names <= expected | {"inverse_root", "energy", "size", "new_size", "shrinking", "parameter"}


def test_the_printed_plan_tells_kernels_buffers_and_traffic() -> None:
    printed = print_plan(pipeline(path_of("torch_muon"), Options()).plan())
    assert printed.startswith("plan matrix: 4 launches {\n  host scale = sqrt(max(1, (rows / cols)))\n")
    assert "kernel 1 elementwise: reads %momentum_buffer, %gradient; writes %momentum_buffer.2" in printed


def test_a_decomposition_is_a_launch_and_is_computed_once() -> None:
    update = plan("""
optimizer Exact
hyper lr = 0.1
orthogonalize {
  let (w, s, v) = svd(update)
  update <- (w * s**0.5) @ v
}
""")
    whole = [kernel for kernel in update.kernels if kernel.kind == "whole"]
    functions = [each.definition.operation for kernel in whole for each in kernel.assignments]
    names = [each.function for each in functions if isinstance(each, ir.Whole)]
    assert sorted(names) == ["svd", "svd_left", "svd_right", "svd_values"]
    assert len(names) == len(functions) == len(whole)
