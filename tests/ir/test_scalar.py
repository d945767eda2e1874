from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muondsl.emit.python_scalar import to_python
from muondsl.ir import scalar as sc

HYPER, ROWS = sc.Symbol("lr", "hyper"), sc.Symbol("rows", "shape")
VALUES = {HYPER: 0.3, ROWS: 7}

leaves = st.one_of(
    st.sampled_from([sc.Number(text) for text in ("0.1", "2", "1e-3", "-4.7750", "3.4445")]),
    st.sampled_from([HYPER, ROWS, sc.Named("size", sc.Number("5"))]),
)


def calls(inside: st.SearchStrategy[sc.Scalar]) -> st.SearchStrategy[sc.Scalar]:
    binary = st.sampled_from(["+", "-", "*", "/", "**", "min", "max"])
    compared = st.builds(lambda f, a, b: sc.Call(f, (a, b)), st.sampled_from(sc.COMPARISONS), inside, inside)
    joined = st.builds(lambda f, a, b: sc.Call(f, (a, b)), st.sampled_from(["and", "or"]), compared, compared)
    condition = st.one_of(compared, joined, st.builds(lambda a: sc.Call("not", (a,)), joined))
    return st.one_of(
        st.builds(lambda f, a, b: sc.Call(f, (a, b)), binary, inside, inside),
        st.builds(lambda f, a: sc.Call(f, (a,)), st.sampled_from(["-", "sqrt", "abs"]), inside),
        st.builds(lambda c, a, b: sc.Call("if", (c, a, b)), condition, inside, inside),
    )


@given(st.recursive(leaves, calls, max_leaves=12))
def test_printed_python_has_the_value_of_the_scalar(scalar: sc.Scalar) -> None:
    def outcome(compute: object) -> float | str:
        try:
            value = compute()
        except (ArithmeticError, ValueError, TypeError):  # Python's powers may be complex
            return "undefined"
        return "undefined" if isinstance(value, complex) else float(value)

    names = {"math": math, "lr": 0.3, "rows": 7, "size": 5}
    printed = outcome(lambda: eval(to_python(scalar), {"__builtins__": {"min": min, "max": max, "abs": abs}}, names))
    assert printed == outcome(lambda: sc.evaluate(scalar, VALUES))


@pytest.mark.parametrize(("start", "end"), [(2.0, 5.0), (5.0, 2.0), (-1.0, 3.0)])
def test_lerp_ends_where_it_should(start: float, end: float) -> None:
    def lerp(weight: str) -> float:
        parts = tuple(sc.Number(repr(each)) for each in (start, end))
        return sc.evaluate(sc.Call("lerp", (*parts, sc.Number(weight))), {})

    assert lerp("0") == start
    assert lerp("1") == end
    assert lerp("0.25") == pytest.approx(0.75 * start + 0.25 * end, rel=1e-15)


def test_literals_keep_their_digits() -> None:
    for text in ("8.156554524902461", "-22.48329292557795", "1e-7", "3.4445", "-4.7750", "0.10"):
        assert to_python(sc.Number(text)) == text


def test_leading_zeros_that_python_refuses_are_dropped() -> None:
    assert eval(to_python(sc.Number("007"))) == 7
    assert eval(to_python(sc.Number("000"))) == 0
