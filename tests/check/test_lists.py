"""Functions of lists, and the tables that they make, against the published ones."""

from __future__ import annotations

import pytest

from muondsl.check import tables
from muondsl.check.modules import standard_library
from muondsl.check.typed import Loop
from muondsl.ir import scalar
from muondsl.parse import ast
from tests.check.specs import accepted, codes

# arXiv:2505.16932, as tabulated in karpathy/nanochat and KellerJordan/modded-nanogpt
NANOCHAT = (
    (8.156554524902461, -22.48329292557795, 15.878769915207462),
    (4.042929935166739, -2.808917465908714, 0.5000178451051316),
    (3.8916678022926607, -2.772484153217685, 0.5060648178503393),
    (3.285753657755655, -2.3681294933425376, 0.46449024233003106),
    (2.3465413258596377, -1.7097828382687081, 0.42323551169305323),
)
# The same, as tabulated for Gram Newton–Schulz: divided by 1.05, the last step too.
GRAM = (
    (7.892582874424408, -20.38301394587957, 13.555306149406924),
    (3.911484868135431, -2.5464635929060884, 0.4268988319673074),
    (3.760657955697423, -2.512819018216563, 0.4323647349070073),
    (3.160399673686287, -2.149649518898498, 0.3996366907664389),
    (2.1910971618617303, -1.441662010214663, 0.328146487623155),
)
PAPER = "polar_express(lower = 1e-3, steps = {}, cushion = 0.02407327424182761)"


def rows(expression: str, names: str = "a, b, c") -> list[tuple[float, ...]]:
    """The numbers of a list of tuples, as a loop over it sees them."""
    total = " + ".join(names.split(", "))
    text = f"adapt {{ for ({names}) in {expression} {{ update <- update * ({total}) }} }}"
    (stage,) = accepted(text).matrix.stages
    (loop,) = stage.statements
    assert isinstance(loop, Loop)
    return [tuple(float(scalar.evaluate(part, {})) for part in item) for item in loop.items]


def close(found: list[tuple[float, ...]], expected: tuple[tuple[float, ...], ...]) -> bool:
    assert len(found) == len(expected)
    pairs = [pair for one, two in zip(found, expected, strict=True) for pair in zip(one, two, strict=True)]
    return all(one == pytest.approx(two, rel=1e-13) for one, two in pairs)


def test_polar_express_makes_the_published_tables() -> None:
    assert close(rows("polar_express(lower = 1e-3, steps = 5, safety = 0.02, cushion = 0.02)"), NANOCHAT)
    assert close(rows("polar_express(1e-3, 5, 0.02, 0.02)"), NANOCHAT)
    assert close(rows(f"scaled({PAPER.format(5)}, 1.05)"), GRAM)
    assert close(rows(PAPER.format(6)), table("polar_express_paper")[:6])
    timm = rows("polar_express(lower = 1e-3, steps = 8, safety = 0.01, cushion = 0.02)")
    assert close(timm[:6], table("polar_express_timm")[:6])


def test_the_tables_of_implementations_are_those_of_the_paper_divided() -> None:
    divided = "join(scaled(take(polar_express_paper, 7), 1.01), last(polar_express_paper, 1))"
    for found, cut in zip(rows(divided), table("polar_express_emerging"), strict=True):
        assert found == pytest.approx(cut, abs=1e-4)  # cut off, not rounded


def table(name: str) -> tuple[tuple[float, ...], ...]:
    """A table of the standard library as it is written."""
    items = (item for file in standard_library() for item in file.items)
    found = next(item.value for item in items if isinstance(item, ast.Const) and item.name == name)
    assert isinstance(found, ast.List)
    return tuple(tuple(map(_literal, row.items)) for row in found.items if isinstance(row, ast.Tuple))


def _literal(node: ast.Expression) -> float:
    if isinstance(node, ast.Unary):
        return -_literal(node.operand)
    assert isinstance(node, ast.Number)
    return float(node.text)


def test_each_cubic_of_cans_errs_equally_at_its_ends_and_its_peak() -> None:
    lower, upper = 1e-3, 1.0
    for a, b in tables.cans(lower, 8):
        peak = (a / (-3 * b)) ** 0.5
        ends = a * lower + b * lower**3, a * upper + b * upper**3
        highest = a * peak + b * peak**3
        assert ends[0] == pytest.approx(ends[1])
        assert 1 - ends[0] == pytest.approx(highest - 1)
        lower, upper = ends[0], highest
    assert close(rows("cans(lower = 1e-3, steps = 8)", "a, b"), tables.cans(1e-3, 8))


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("take([(1, 2), (3, 4)], 3)", [(1, 2), (3, 4), (3, 4)]),
        ("cycle([(1, 2), (3, 4)], 3)", [(1, 2), (3, 4), (1, 2)]),
        ("last([(1, 2), (3, 4), (5, 6)], 2)", [(3, 4), (5, 6)]),
        ("last([(1, 2), (3, 4)], 3)", [(1, 2), (1, 2), (3, 4)]),
        ("last([(1, 2)], 0)", []),
        ("join([(1, 2)], [], [(3, 4)])", [(1, 2), (3, 4)]),
        ("scaled([(2, 8), (4, 16)], 2)", [(1, 1), (2, 2)]),
    ],
)
def test_lists_are_taken_apart_and_put_together(expression: str, expected: list[tuple[float, ...]]) -> None:
    assert rows(expression, "a, b") == expected


def test_numbers_of_tables_have_the_fewest_digits_that_read_back() -> None:
    spec = accepted("adapt { for (a, b) in scaled([(1, 0.3)], 10) { update <- a*update + b } }")
    (loop,) = spec.matrix.stages[0].statements
    assert isinstance(loop, Loop)
    assert [str(part) for part in loop.items[0]] == ["0.1", repr(0.3 / 1000)]


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("cycle([], 2)", ["M0316"]),
        ("join([(1, 2)])", ["M0318"]),
        ("join([(1, 2)], 3)", ["M0305"]),
        ("join(range(100), range(100))", ["M0606"]),
        ("take(list = [(1, 2)], count = 2)", ["M0318"]),
        ("scaled([1, 2], 2)", ["M0305"]),
        ("scaled([(1, 2)], 0)", ["M0324"]),
        ("scaled([(1, 1)], 1e-200)", ["M0317"]),
        ("scaled([(lr, 1)], 2)", ["M0310"]),
        ("scaled([(update, 1)], 2)", ["M0303"]),
        ("polar_express(lower = 1, steps = 5)", ["M0324"]),
        ("polar_express(lower = 0.1, steps = 5, safety = -1)", ["M0324"]),
        ("polar_express(lower = 0.1, steps = 5, cushion = 1)", ["M0324"]),
        ("polar_express(steps = 5)", ["M0318"]),
        ("polar_express(0.1, lower = 0.1, steps = 5)", ["M0318"]),
        ("polar_express(lower = lr, steps = 5)", ["M0310"]),
        ("polar_express(lower = 0.1, steps = 2.5)", ["M0321"]),
        ("polar_express(lower = 0.1, steps = 500)", ["M0606"]),
        ("cans(lower = 0.1, steps = 3, safety = 0.1)", ["M0318"]),
    ],
)
def test_lists_that_cannot_be_made_are_refused(expression: str, found: list[str]) -> None:
    assert codes(f"adapt {{ for (a, b) in {expression} {{ update <- a*update + b }} }}") == found


def test_tables_end_at_one_for_any_interval() -> None:
    for lower in (1e-6, 1e-3, 0.5, 0.999, 0.9999999):
        value = lower
        for a, b, c in tables.polar_express(lower, 12, 0, 0):
            value = a * value + b * value**3 + c * value**5
        assert value == pytest.approx(1, abs=1e-9 if lower >= 1e-3 else 0.5)
