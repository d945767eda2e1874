"""Stages: their order, what each of them changes, and the states that they keep."""

from __future__ import annotations

from itertools import pairwise

import pytest

from muondsl.check import typed
from muondsl.diagnostics.span import Source
from muondsl.ir.types import FORMATS
from muondsl.parse import ast
from muondsl.pipeline import Pipeline
from tests.check.specs import HEAD, accepted, codes, places

BODIES = dict.fromkeys(ast.STAGES, "{ update <- update * 2 }") | {
    "scale": "2",
    "decay": "decoupled(0.1)",
    "project": "{ parameter <- parameter * 2 }",
}


def test_stages_run_in_the_order_in_which_they_must_be_written() -> None:
    spec = accepted("\n".join(f"{stage} {body}" for stage, body in BODIES.items()))
    assert tuple(stage.name for stage in spec.matrix.stages) == ast.STAGES


@pytest.mark.parametrize(("first", "second"), list(pairwise(ast.STAGES)))
def test_stages_in_another_order_or_twice_are_refused(first: str, second: str) -> None:
    assert places(f"{second} {BODIES[second]}\n{first} {BODIES[first]}") == [f"M0501 {first}"]
    assert places(f"{first} {BODIES[first]}\n{first} {BODIES[first]}") == [f"M0502 {first}"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("momentum { let x = update * 2\n state m = zeros\n m <- m + x }", ["M0503"]),
        ("momentum { parameter <- parameter * 0.9\n update <- update * 2 }", ["M0504"]),
        ("momentum { parameter <- parameter * 0.9 }", ["M0504", "M0503"]),
        ("momentum { scale <- 2\n update <- update * 2 }", ["M0504"]),
        ("decay { update <- update * 2 }", ["M0504", "M0503"]),
        ("scale 2\ndecay { scale <- 3\n parameter <- parameter * 0.9 }", ["M0504"]),
        ("scale { update <- update * 2 }", ["M0504", "M0503"]),
        ("otherwise { scale <- 2 }", ["M0504"]),
        ("otherwise { parameter <- parameter * 0.9\n update <- update * 2 }", []),
        ("momentum update", ["M0203"]),
        ("momentum update * 2", ["M0505"]),
        ("otherwise 2", ["M0505"]),
        ("momentum none", []),
    ],
)
def test_a_stage_changes_what_it_is_for(text: str, found: list[str]) -> None:
    assert sorted(codes(text)) == sorted(found)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("scale { scale <- 2 }", []),
        ("rule by_rows(k) { scale <- k * sqrt(rows) }\nscale by_rows(2)", []),
        ("scale { scale <- 2\n scale <- 3 }", ["M0509"]),
        ("scale { for i in [1, 2] { scale <- i } }", ["M0509"]),
        ("rule two() { scale <- 2 }\nscale { for i in [1] { two() } }", ["M0509"]),
        ("scale update > 0", ["M0303"]),
        ("scale step > 0", ["M0309"]),
        ("scale keller_jordan", ["M0303"]),
        ("momentum { update <- update * scale }", ["M0201"]),
        ("scale 2\ndecay { parameter <- parameter * (1 - lr*scale) }", []),
        ("scale 2\ndecay decoupled(0.1 * scale)", []),
    ],
)
def test_the_scale_is_one_scalar_given_once_and_read_behind_its_stage(text: str, found: list[str]) -> None:
    assert codes(text) == found


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("state m = zeros\n m <- m + update\n update <- m", []),
        ("state m: fp32 = 0.5 * 3\n m <- m + update\n update <- m", []),
        ("state m = gradient\n m <- lerp(m, update, 0.1)\n update <- m", []),
        ("state initial_m = parameter\n update <- update + initial_m", []),
        ("state m = parameter\n update <- update + m", ["M0508"]),
        ("state m = zeros\n m <- update\n update <- update + m", ["M0510"]),
        ("state m = zeros\n for i in [1] { state n = zeros\n n <- n + m\n m <- n }\n update <- m", ["M0507"]),
        ("for i in [0.9, 0.99] { ema(i) }", ["M0507"]),
        ("ema(0.9)\n ema(0.99)", ["M0506"]),
        ("state m[rows, 1] = gradient\n m <- m * 2\n update <- update + m", ["M0312"]),
        ("state m = update\n m <- m * 2\n update <- update + m", ["M0312"]),
        ("state m = step\n m <- m * 2\n update <- update + m", ["M0312"]),
        ("state m[cols, rows] = zeros\n m <- m * 2\n update <- update + m", ["M0311"]),
        ("state step = zeros\n update <- update + 1", ["M0206"]),
        ("state class = zeros\n update <- update + 1", ["M0209"]),
        ("state update = zeros\n update <- update + 1", ["M0206"]),
        ("state lr = zeros\n update <- update + 1", ["M0206"]),
    ],
)
def test_a_state_is_declared_once_read_and_changed(body: str, found: list[str]) -> None:
    assert codes(f"momentum {{ {body} }}") == found


def test_both_routes_may_keep_a_state_of_one_name() -> None:
    spec = accepted("momentum ema(0.9)\notherwise sgd_momentum(0.9)")
    assert spec.otherwise is not None
    assert [state.variable.name for update in (spec.matrix, spec.otherwise) for state in update.states] == [
        "momentum_buffer"
    ] * 2


@pytest.mark.parametrize(
    "body",
    [
        "update <- update @ update",
        "update <- update'",
        "update <- update * rows",
        "update <- update * fan_in",
        "update <- update - mean(update, over = rows)",
        "state v[rows, 1] = zeros",
    ],
)
def test_otherwise_knows_no_rows_and_columns(body: str) -> None:
    assert codes(f"otherwise {{ {body} }}") == ["M0313"]


def test_otherwise_reduces_whole_tensors_and_keeps_single_numbers() -> None:
    accepted(
        "otherwise { state v[1, 1]: fp32 = zeros\n v <- lerp(v, mean(update*update), 0.1)\n"
        "update <- update / (sqrt(v) + numel) }"
    )


def test_a_rule_used_in_a_block_of_a_number_format_computes_in_it() -> None:
    spec = accepted("rule twice() { update <- update * 2 }\nmomentum { in bf16 { twice() } }")
    (statement,) = spec.matrix.stages[0].statements
    assert isinstance(statement, typed.Set)
    assert isinstance(statement.value, typed.Elementwise)
    assert isinstance(statement.value.operands[0], typed.Convert)
    assert statement.value.operands[0].format == "bf16"


@pytest.mark.parametrize("dtype", FORMATS)
def test_a_number_format_may_be_the_argument_of_a_rule(dtype: str) -> None:
    accepted(f"rule f(dtype) {{ in dtype {{ update <- update * 2 }} }}\nmomentum f({dtype})")
    accepted(f"momentum {{ let format = {dtype}\n in format {{ update <- update * 2 }} }}")


def test_whatever_the_text_around_it_says_generated_code_is_python_that_it_cannot_change() -> None:
    text = '"""\\N{x} ""\\" {{ 1 }}\n__import__("os") \\"""\n' + HEAD.replace(
        "\n", '\ncite "\\"\ncite "\\n{{ 1 }} {% x %}"\n', 1
    )
    text += 'route matrix named("[", "\\", "\'")\nmomentum ema(0.9)\ncheckpoint "\\" with a = "\\n\'\'\'"\n'
    module = compile(Pipeline(Source('mine"""\n__import__("os").muon', text)).file().text, "mine.py", "exec")
    assert "__import__" not in module.co_names
