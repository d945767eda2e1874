"""The rules of dimensions against torch itself: on tall and wide matrices, what the checker says is what torch does."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import Tensor

from muondsl.check import typed
from tests.check.specs import accepted, codes, places

SHAPES = ("rows, cols", "rows, 1", "1, cols", "1, 1", "long", "short")
CASES = {"tall": (5, 3), "wide": (3, 5)}
PAIRS = list(product(SHAPES, SHAPES))
AXES = ("rows", "cols", "short", "long")


def tensor_of(shape: str, case: str) -> Tensor:
    """What a state of the shape is in a matrix of 5 × 3 or 3 × 5, never square: there other rules would do too."""
    rows, cols = CASES[case]
    is_tall = rows >= cols
    sizes = {
        "rows, cols": (rows, cols),
        "rows, 1": (rows, 1),
        "1, cols": (1, cols),
        "1, 1": (1, 1),
        "long": (rows, 1) if is_tall else (1, cols),
        "short": (1, cols) if is_tall else (rows, 1),
    }
    return torch.ones(sizes[shape])


def axis_of(axis: str, case: str) -> int:
    """The dimension of torch. Reductions keep it, with the size 1."""
    rows, cols = CASES[case]
    short = 1 if rows >= cols else 0
    return {"rows": 0, "cols": 1, "short": short, "long": 1 - short}[axis]


def size_of(dims: typed.Dims, case: str) -> tuple[int, ...]:
    rows, cols = CASES[case]
    sizes = {"rows": rows, "cols": cols, "1": 1}
    return tuple(sizes[dim.tall if case == "tall" else dim.wide] for dim in (dims.row, dims.col))


def dims_of(expression: str, *shapes: str) -> typed.Dims | None:
    """The dimensions of an expression of the states `a` and `b`, or None where the checker refuses it."""
    names = dict(zip("ab", shapes, strict=False))
    states = "".join(f"state {name}[{shape}] = ones\n" for name, shape in names.items())
    changes = "".join(f"{name} <- {name} * 2\n" for name in names)
    text = f"momentum {{ {states}{changes}let result = {expression}\nupdate <- update * max(result) }}"
    found = codes(text)
    if found:
        assert set(found) <= {"M0301", "M0302", "M0307"}, found
        return None
    (stage,) = accepted(text).matrix.stages
    sets = [statement for statement in stage.statements if isinstance(statement, typed.Set)]
    return next(each.variable.dims for each in sets if each.variable.name == "result")


def by_torch(case: str, expression: str, *shapes: str) -> tuple[int, ...] | None:
    values = {name: tensor_of(shape, case) for name, shape in zip("ab", shapes, strict=False)}
    try:
        return tuple(eval(expression, {}, values).shape)
    except RuntimeError:
        return None


def assert_as_torch(expression: str, in_torch: str, *shapes: str) -> None:
    """The checker accepts what torch can do in both cases, and gives it the size that torch gives it."""
    dims = dims_of(expression, *shapes)
    sizes = {case: by_torch(case, in_torch, *shapes) for case in CASES}
    if dims is None:
        assert None in sizes.values(), f"{expression} of {shapes} is refused"
    else:
        assert {case: size_of(dims, case) for case in CASES} == sizes


@pytest.mark.parametrize(("left", "right"), PAIRS)
def test_elementwise_operators_broadcast_as_in_torch(left: str, right: str) -> None:
    assert_as_torch("a + b", "a + b", left, right)


@pytest.mark.parametrize(("left", "right"), PAIRS)
def test_matrices_are_multiplied_as_in_torch(left: str, right: str) -> None:
    assert_as_torch("a @ b", "a @ b", left, right)
    assert_as_torch("a @ b'", "a @ b.T", left, right)
    assert_as_torch("a' @ b", "a.T @ b", left, right)


@pytest.mark.parametrize(("axis", "shape"), list(product(AXES, SHAPES)))
def test_a_reduction_takes_away_the_dimension_that_it_names(axis: str, shape: str) -> None:
    """A dimension of size 1 that torch would reduce without effect is not one that the tensor has."""
    has_it = all(tensor_of(shape, case).shape[axis_of(axis, case)] > 1 for case in CASES)
    dims = dims_of(f"sum(a, over = {axis})", shape)
    assert (dims is not None) == has_it
    if dims is not None:
        reduced = {case: torch.sum(tensor_of(shape, case), axis_of(axis, case), keepdim=True) for case in CASES}
        assert {case: size_of(dims, case) for case in CASES} == {
            case: tuple(each.shape) for case, each in reduced.items()
        }


@pytest.mark.parametrize("shape", SHAPES)
def test_a_whole_reduction_leaves_one_number_and_two_transposes_nothing_new(shape: str) -> None:
    assert str(dims_of("norm(a)", shape)) == "[1, 1]"
    assert dims_of("a''", shape) == dims_of("a", shape)


def test_rows_and_columns_are_different_even_where_a_matrix_is_square() -> None:
    assert dims_of("a @ a", "rows, cols") is None
    assert dims_of("a + a'", "rows, cols") is None


def test_a_gram_matrix_over_the_short_side_is_no_dimension_of_the_language() -> None:
    """It is written as `x @ x'` or `x' @ x`; which of them is the smaller the compiler knows."""
    assert str(dims_of("a @ a'", "rows, cols")) == "[rows, rows]"
    assert str(dims_of("a' @ a", "rows, cols")) == "[cols, cols]"


@pytest.mark.parametrize("shape", SHAPES[1:])
def test_an_assignment_keeps_the_dimensions(shape: str) -> None:
    assert places(f"momentum {{ state a[{shape}] = zeros\n a <- a + update\n update <- update + a }}") == [
        "M0306 a + update"
    ]
    accepted(f"momentum {{ state a[{shape}] = zeros\n update <- update + a\n a <- 0.5 }}")


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ("update, gradient, 0.5", []),
        ("update, mean(update, over = rows), max(update)", []),
        ("0.85, 0.95, min(step / 300, 1)", []),
        ("0, update, 0.5", ["M0304"]),
        ("update, 1, 0.5", ["M0304"]),
        ("0, 1, update", ["M0304"]),
        ("update, gradient", ["M0318"]),
        ("update, gradient, weight = 0.5", ["M0318"]),
    ],
)
def test_lerp_goes_between_two_scalars_or_two_tensors(arguments: str, found: list[str]) -> None:
    assert codes(f"momentum {{ update <- update * lerp({arguments}) }}") == found


def test_a_choice_of_two_scalars_is_a_tensor_of_the_number_format_around_it() -> None:
    (stage,) = accepted("momentum { in bf16 { update <- if update > 0 then 0.3 else -0.3 } }").matrix.stages
    (statement,) = stage.statements
    assert isinstance(statement, typed.Set)
    assert isinstance(statement.value, typed.Convert)
    assert statement.value.format == "bf16"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("momentum { update <- if update > 0 then update else 0 }", []),
        ("momentum { update <- if update > 0 then 1 else -1 }", []),
        ("momentum { update <- if step > 9 then update else update * 2 }", []),
        ("momentum { update <- if 2 > 1 then update else 0 }", []),
        ("momentum { update <- if step > 9 then update else 0 }", ["M0314"]),
        ("momentum { update <- if step > 9 then update else mean(update, over = rows) }", ["M0314"]),
        ("momentum { update <- if update > 0 then update > 1 else update }", ["M0314"]),
        ("momentum { update <- if update then 1 else 2 }", ["M0308"]),
        ("momentum { update <- if update > 0 and rows then 1 else 2 }", ["M0308"]),
        ("momentum { update <- update > 0 }", ["M0309"]),
        ("momentum { let m = update > 0\n update <- if m and not (update > 1) then update else 0 }", []),
        ("momentum { let m = if update > 0 then update > 1 else update < 1\n update <- if m then update else 0 }", []),
        ("momentum { let m = if step > 9 then update > 1 else update < 1\n update <- if m then update else 0 }", []),
        ("momentum { let m = if step > 9 then update > 1 else update < 1\n update <- update * m }", ["M0309"]),
        ("momentum { let m = step > 9\n update <- if m then update else update * 2 }", []),
        ("momentum { let m = update > 0\n m <- update < 1\n update <- if m then update else 0 }", []),
        ("momentum { let m = update > 0\n m <- update\n update <- if m then update else 0 }", ["M0309"]),
        ("momentum { for f in [true, false] { update <- update * f } }", ["M0309"]),
    ],
)
def test_conditions_and_numbers_are_kept_apart(text: str, found: list[str]) -> None:
    assert codes(text) == found
