"""A parameter that is seen as matrices is stepped as these matrices would be, bit for bit."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import Parameter

import muondsl
from muondsl.runtime import SpecOptimizer
from muondsl.runtime.views import View
from tests.runtime.subjects import assert_same, random, snapshot

STATES = """
optimizer States
hyper lr = 0.5 in [0, inf)
momentum {
  state total = zeros
  state start = parameter
  state row_sums[rows, 1]: fp32 = zeros
  state col_sums[1, cols] = ones
  state whole[1, 1] = zeros
  state longer[long] = zeros
  state shorter[short]: fp32 = zeros
  total    <- 0.9*total + update
  start    <- 0.5*(start + parameter)
  row_sums <- row_sums + mean(update, over = cols)
  col_sums <- col_sums + mean(total*total, over = rows)
  whole    <- whole + norm(update)
  longer   <- longer + sum(update, over = short)
  shorter  <- shorter + sum(update*update, over = long)
  update   <- total / sqrt(col_sums) + row_sums + whole/step + longer + shorter + 0.1*start
}
scale sqrt(rows) / (cols + numel)
"""


@dataclass(frozen=True)
class Case:
    """A view, a tensor that it fits, and the matrices in it, cut out by hand."""

    view: str
    shape: tuple[int, ...]

    def cut(self, tensor: Tensor) -> list[Tensor]:
        match self.view:
            case "flatten":
                return [tensor.flatten(1)]
            case "batch":
                return list(tensor.flatten(0, -3))
            case "transpose":
                return [tensor.mT]
            case "split(3)" | "heads(3)":
                return list(tensor.chunk(3))
            case "split(4, 1, 7)":
                return [tensor[:4], tensor[4:5], tensor[5:]]
            case "transpose, split(3)":
                return [block.mT for block in tensor.chunk(3, dim=1)]
            case "batch, transpose, heads(2)":
                return [block.mT for matrix in tensor for block in matrix.chunk(2, dim=1)]
        raise AssertionError(self.view)


CASES = (
    Case("flatten", (6, 2, 3, 3)),
    Case("flatten", (5, 4, 3)),
    Case("flatten", (4, 6)),
    Case("batch", (3, 6, 4)),
    Case("batch", (2, 3, 4, 6)),
    Case("transpose", (6, 4)),
    Case("split(3)", (12, 5)),
    Case("heads(3)", (12, 4)),
    Case("split(4, 1, 7)", (12, 5)),
    Case("transpose, split(3)", (5, 12)),
    Case("batch, transpose, heads(2)", (3, 4, 6)),
)
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.view}-{len(case.shape)}d")


@cache
def of(spec: str) -> type[SpecOptimizer]:
    return muondsl.load(spec, numerics="faithful")


SPECS = ("specs/keller_jordan.muon", "specs/nanochat.muon", STATES)
each_spec = pytest.mark.parametrize("spec", SPECS, ids=("keller_jordan", "nanochat", "states"))


def seen(spec: str, case: Case, dtype: torch.dtype = torch.float32) -> tuple[SpecOptimizer, Parameter]:
    parameter = Parameter(random(case.shape, 1, dtype))
    return of(spec)([{"params": [("x", parameter)], "route": "matrix"}], views={"x": case.view}), parameter


def apart(spec: str, case: Case, dtype: torch.dtype = torch.float32) -> tuple[SpecOptimizer, list[Parameter]]:
    parameters = [Parameter(each.clone().contiguous()) for each in case.cut(random(case.shape, 1, dtype))]
    return of(spec)([{"params": parameters, "route": "matrix"}]), parameters


def step_both(case: Case, one: SpecOptimizer, whole: Parameter, other: SpecOptimizer, parts: list[Parameter]) -> None:
    for step in range(3):
        whole.grad = random(case.shape, 10 + step, whole.dtype)
        for part, gradient in zip(parts, case.cut(whole.grad), strict=True):
            part.grad = gradient.clone().contiguous()
        one.step()
        other.step()


@each_spec
@each_case
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_matrices_seen_in_a_parameter_are_stepped_as_parameters_of_their_own(
    spec: str, case: Case, dtype: torch.dtype
) -> None:
    one, whole = seen(spec, case, dtype)
    other, parts = apart(spec, case, dtype)
    before = whole.detach().clone()
    step_both(case, one, whole, other, parts)
    assert not torch.equal(before, whole)
    assert_same([each.contiguous() for each in case.cut(whole.detach())], [each.detach() for each in parts])
    matrices = one.matrices_of("matrix", whole)
    assert matrices == tuple(tuple(part.shape) for part in parts)
    for state in one.states["matrix"]:
        held = state.parts(one.state[whole][state.name], one.view_of(whole), matrices)
        assert_same([each.contiguous() for each in held], [other.state[part][state.name] for part in parts])


@each_spec
def test_filters_that_lie_with_channels_last_are_stepped_as_others(spec: str) -> None:
    case = CASES[0]
    one, plain = seen(spec, case)
    other, laid = seen(spec, case)
    laid.data = laid.data.contiguous(memory_format=torch.channels_last)
    for step in range(3):
        plain.grad = random(case.shape, 10 + step)
        laid.grad = plain.grad.contiguous(memory_format=torch.channels_last)
        one.step()
        other.step()
    assert laid.is_contiguous(memory_format=torch.channels_last)
    assert_same(snapshot(other), snapshot(one))


def test_a_step_is_counted_once_for_all_matrices_of_a_parameter() -> None:
    one, whole = seen(STATES, CASES[6])
    for _ in range(3):
        whole.grad = random(whole.shape, 5)
        one.step()
    assert float(one.state[whole]["step"]) == 3


@each_case
def test_states_of_the_parameters_shape_do_not_depend_on_the_view(case: Case) -> None:
    one, whole = seen("specs/keller_jordan.muon", case)
    whole.grad = random(case.shape, 3)
    one.step()
    assert one.state[whole]["momentum_buffer"].shape == whole.shape
    loaded, other = seen("specs/keller_jordan.muon", Case("flatten", case.shape))
    loaded.load_state_dict(copy.deepcopy(one.state_dict()))
    assert torch.equal(loaded.state[other]["momentum_buffer"], one.state[whole]["momentum_buffer"])


def test_smaller_states_are_stacked_and_those_of_several_sizes_lie_flat() -> None:
    expected = {
        "split(3)": {"row_sums": (3, 4, 1), "col_sums": (3, 1, 5), "whole": (3, 1, 1), "longer": (3, 1, 5)},
        "split(4, 1, 7)": {"row_sums": (12,), "col_sums": (3, 1, 5), "whole": (3, 1, 1), "longer": (17,)},
        "transpose": {"row_sums": (5, 1), "col_sums": (1, 12), "whole": (1, 1), "longer": (1, 12)},
    }
    for view, sizes in expected.items():
        one, whole = seen(STATES, Case(view, (12, 5)))
        whole.grad = random((12, 5), 3)
        one.step()
        assert {name: tuple(one.state[whole][name].shape) for name in sizes} == sizes
        again, other = seen(STATES, Case(view, (12, 5)))
        again.load_state_dict(copy.deepcopy(one.state_dict()))
        other.data.copy_(whole.data)
        for optimizer, parameter in ((one, whole), (again, other)):
            parameter.grad = random((12, 5), 4)
            optimizer.step()
        assert_same(snapshot(again), snapshot(one))


def test_smaller_states_of_another_view_are_refused() -> None:
    one, whole = seen(STATES, Case("split(3)", (12, 5)))
    whole.grad = random((12, 5), 3)
    one.step()
    other, _ = seen(STATES, Case("split(2)", (12, 5)))
    with pytest.raises(ValueError, match="parameter 0 should have states"):
        other.load_state_dict(one.state_dict())


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))])
def test_a_copy_sees_what_the_original_sees(copied: Any) -> None:
    one, whole = seen(STATES, CASES[6])
    other = copied(one)
    (parameter,) = other.param_groups[0]["params"]
    assert other.view_of(parameter) == one.view_of(whole) == View.parse("split(3)")
    for optimizer, each in ((one, whole), (other, parameter)):
        each.grad = random(each.shape, 5)
        optimizer.step()
    assert_same(snapshot(other), snapshot(one))


OF_SPEC = """
optimizer Viewed
hyper lr = 1 in [0, inf)
view flatten         where role(conv)
view split(2)        where named("*qk*")
view transpose       where named("*stored_in*")
view batch, heads(2) where ndim == 3 and role(expert)
momentum ema(0.5)
"""


def views_of(spec: str, named: Mapping[str, tuple[int, ...]], **options: Any) -> list[str]:
    parameters = {name: Parameter(torch.zeros(shape)) for name, shape in named.items()}
    optimizer = of(spec)([*parameters.items()], **options)
    return [str(optimizer.view_of(each)) for each in parameters.values()]


def test_the_spec_says_how_parameters_are_seen_and_the_user_wins() -> None:
    named = {"conv1.w": (4, 2, 3, 3), "qk": (6, 2), "stored_in": (3, 4), "experts.w": (2, 4, 3), "plain": (3, 4)}
    assert views_of(OF_SPEC, named) == ["flatten", "split(2)", "transpose", "batch, heads(2)", ""]
    views = {"q*": "split(3)", "experts.w": "batch", "exp*": "flatten", "plain": "transpose"}
    assert views_of(OF_SPEC, named, views=views) == ["flatten", "split(3)", "transpose", "batch", "transpose"]


@pytest.mark.parametrize(
    ("named", "options", "complaint"),
    [
        ({"qk": (7, 2)}, {}, r"cannot orthogonalise qk of size \(7, 2\): 7 rows do not make 2 blocks of as many"),
        ({"qk": (6, 2, 2)}, {}, "more than one view for qk|may be conv or expert"),
        ({"x": (6, 2, 2)}, {}, r"cannot see x of size \(6, 2, 2\) as a matrix: it may be conv or expert"),
        ({"x": (6, 2, 2)}, {"roles": {"x": "matrix"}}, "no view says what matrices are in its 3 dimensions"),
        ({"qk.stored_in": (4, 4)}, {}, "more than one view for qk.stored_in .*'split\\(2\\)' and 'transpose'"),
        ({"x": (6,)}, {}, "no view says what matrices are in its 1 dimensions"),
        ({"x": (6, 4)}, {"views": {"y*": "transpose"}}, "views has 'y\\*', but Viewed has no parameter of such a name"),
        ({"x": (6, 4)}, {"views": {"x": "split(5)"}}, "6 rows do not make 5 blocks of as many"),
        ({"x": (6, 4)}, {"views": {"x": "split(5, 2)"}}, "blocks of 5, 2 rows are 7, but there are 6"),
        ({"x": (6, 4)}, {"views": {"x": "batch"}}, "batch needs three dimensions or more, and there are 2"),
        ({"x": (6, 4, 2)}, {"views": {"x": "split(2)"}}, "there are 3 dimensions: flatten or batch first"),
        ({"x": (6, 4, 2)}, {"views": {"x": "transpose"}}, "there are 3 dimensions: flatten or batch first"),
        ({"x": (6, 4)}, {"views": {"x": "splt(2)"}}, "the steps of a view are flatten, batch, .* has 'splt'"),
        ({"x": (6, 4)}, {"views": {"x": "split"}}, "split needs numbers"),
        ({"x": (6, 4)}, {"views": {"x": "transpose(2)"}}, "transpose takes no numbers"),
        ({"x": (6, 4)}, {"views": {"x": "heads(2, 2)"}}, "heads takes one number"),
        ({"x": (6, 4)}, {"views": {"x": "split(2"}}, "a view should read like 'flatten' or 'transpose, split\\(3\\)'"),
        ({"x": (6, 4)}, {"views": {"x": ""}}, "a view should read like"),
        (
            {"xy": (6, 4)},
            {"views": {"x*": "transpose", "*y": "split(2)"}},
            "views give xy 'transpose' and 'split\\(2\\)'",
        ),
        ({"x": (6, 4)}, {"roles": {"x": "embeding"}}, "a role should be one of embedding, .* but is: 'embeding'"),
    ],
)
def test_what_cannot_be_seen_is_refused_with_a_reason(
    named: dict[str, tuple[int, ...]], options: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        views_of(OF_SPEC, named, **options)


def test_a_group_whose_view_does_not_fit_is_not_added() -> None:
    kind = of(OF_SPEC)
    fits, does_not = Parameter(torch.zeros(4, 2)), Parameter(torch.zeros(5, 2))
    optimizer = kind([("plain", Parameter(torch.zeros(3, 3)))])
    with pytest.raises(ValueError, match=r"cannot orthogonalise b\.qk"):
        optimizer.add_param_group({"params": [("a.qk", fits), ("b.qk", does_not)]})
    assert len(optimizer.param_groups) == 1
    assert optimizer.view_of(fits).steps == ()


def test_a_view_of_a_parameter_that_is_no_matrix_is_refused() -> None:
    kind = of("specs/moonlight.muon")
    with pytest.raises(ValueError, match="views has 'bias', but it takes the route otherwise"):
        kind([("bias", Parameter(torch.zeros(3)))], views={"bias": "flatten"})
