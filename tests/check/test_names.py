"""Which names are in reach where, what may be declared, and what must be read."""

from __future__ import annotations

import pytest

from muondsl.check import typed
from muondsl.diagnostics.span import Source
from muondsl.ir import scalar
from muondsl.pipeline import Pipeline
from tests.check.specs import HEAD, accepted, codes, places


def test_a_rule_does_not_see_the_hypers_and_lets_of_the_spec() -> None:
    text = "hyper beta = 0.9\nlet half = beta / 2\nrule f() { update <- update * (beta + half) }\nmomentum f()"
    assert places(text) == ["M0201 beta", "M0201 half"]


def test_a_rule_sees_lr_step_dimensions_and_constants() -> None:
    accepted("const two = 2\nrule f() { update <- update * (lr + step + rows + two) }\nmomentum f()")


def test_a_block_of_the_spec_sees_its_hypers_and_lets() -> None:
    accepted("hyper beta = 0.9\nlet half = beta / 2\nmomentum { update <- update * (beta + half) }")


def test_a_let_of_one_stage_is_not_seen_by_another() -> None:
    assert places("momentum { let x = update * 2\n update <- x }\nadapt { update <- x }") == ["M0201 x"]


def test_the_lets_of_two_uses_of_a_rule_are_different() -> None:
    spec = accepted("rule f(k) { let x = update * k\n update <- x }\nmomentum { f(2)\n f(3) }")
    variables = [each.variable for each in spec.matrix.stages[0].statements if isinstance(each, typed.Set)]
    assert [variable.name for variable in variables] == ["x", "update", "x", "update"]
    assert variables[0] != variables[2]


def test_a_rule_does_not_see_the_names_of_the_block_that_uses_it() -> None:
    accepted("rule f() { let x = update * 2\n update <- x }\nmomentum { let x = update * 3\n update <- x\n f() }")


def test_lets_of_one_name_in_two_rules_do_not_clash() -> None:
    rules = (
        "rule f() { let k = 2 * step\n update <- update * k }\nrule g() { let k = 3 * step\n update <- update * k }\n"
    )
    text = Pipeline(Source("mine.muon", f"{HEAD}{rules}momentum f()\nadapt g()")).file().text
    assert "k = 2 * step" in text
    assert "k_2 = 3 * step" in text


@pytest.mark.parametrize("name", ["momentum", "decay", "scale_", "gradient_", "nesterov", "state_", "with_", "cite"])
def test_a_hyper_may_be_called_like_a_stage_or_a_rule(name: str) -> None:
    accepted(f"hyper {name} = 0.9\nmomentum ema(beta = {name})")


@pytest.mark.parametrize(
    "name", ["update", "rows", "step", "bf16", "sqrt", "inf", "rest", "lambda", "params", "_x", "torch"]
)
def test_a_hyper_cannot_take_a_name_with_a_meaning(name: str) -> None:
    assert codes(f"hyper {name} = 0.9\nscale 2")[0] in ("M0206", "M0209")


@pytest.mark.parametrize("name", ["class", "SpecOptimizer", "Hyper", "print", "_Mine"])
def test_an_optimizer_cannot_take_a_name_that_its_module_needs(name: str) -> None:
    assert codes(f"optimizer {name}\nhyper lr = 0.1\n", head="") == ["M0209"]


def test_a_loop_variable_may_be_a_word_of_python() -> None:
    text = "momentum { for lambda in [1, 2] { let class = update * lambda\n update <- class } }"
    compile(Pipeline(Source("mine.muon", HEAD + text)).file().text, "mine.py", "exec")


def test_a_rule_may_be_called_like_a_hyper_but_not_like_a_function() -> None:
    accepted("hyper soften = 0.9\nrule soften(k) { update <- update * k }\nmomentum soften(k = soften)")
    assert places("rule sqrt() { update <- update * 2 }\nmomentum sqrt()") == ["M0206 sqrt", "M0203 sqrt"]


@pytest.mark.parametrize(
    "text",
    [
        "hyper a = 1\nhyper a = 2\nscale a",
        "let a = 1\nlet a = 2\nscale a",
        "hyper a = 1\nlet a = 2\nscale a",
        "const a = 1\nconst a = 2\nscale a",
        "rule a() { update <- update * 2 }\nconst a = 2\nscale a",
        "momentum { let a = 1\n let a = 2\n update <- update * a }",
        "momentum { let a = 1\n for a in [2] { update <- update * a } }",
        "momentum { let a = update\n in fp32 { state a = zeros\n a <- a + update\n update <- a } }",
        "rule f(a) { let a = 2\n update <- update * a }\nmomentum f(1)",
        "rule f(a, a) { update <- update * a }\nscale 2",
        "hyper a = 1\nmomentum { state a = zeros\n a <- a + update\n update <- a }\nscale a",
        "momentum { for (a, a) in [(1, 2)] { update <- update * a } }",
    ],
)
def test_no_name_is_declared_twice_in_one_scope(text: str) -> None:
    assert "M0202" in codes(text)


def test_a_let_in_a_block_may_stand_for_a_hyper() -> None:
    spec = accepted(
        "hyper beta = 0.9\nmomentum { let beta = lerp(0.5, 0.9, min(step / 300, 1))\n ema(beta) }\nscale beta"
    )
    assert [hyper.name for hyper in spec.hypers] == ["lr", "beta"]


@pytest.mark.parametrize(
    ("text", "unread"),
    [
        ("hyper a = 1", "M0207 a"),
        ("let a = 1", "M0207 a"),
        ("momentum { let a = update * 2\n update <- update * 3 }", "M0207 a"),
        ("momentum { let (a, b) = (1, 2)\n update <- update * a }", "M0207 b"),
        ("momentum { state a = zeros\n update <- update * 3 }", "M0207 a"),
        ("rule f(a, b = 2) { update <- update * a }\nscale 2", "M0207 b"),
    ],
)
def test_what_is_never_read_is_an_error(text: str, unread: str) -> None:
    assert places(text)[0] == unread


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("beta", "hyper beta = 0.9\nmomentum { beta <- 0.5 }\nscale beta"),
        ("rows", "momentum { rows <- 5 }"),
        ("gradient", "momentum { gradient <- update }"),
        ("keller_jordan", "momentum { keller_jordan <- update }"),
        ("i", "momentum { for i in [1] { i <- 2\n update <- update * i } }"),
        ("k", "rule f(k) { k <- 2\n update <- update * k }\nmomentum f(1)"),
        ("x", "rule f(x) { x <- x * 2 }\nmomentum f(update)"),
    ],
)
def test_only_tensors_of_the_step_are_assigned(target: str, text: str) -> None:
    assert f"M0208 {target}" in places(text)


def test_a_tensor_given_to_a_rule_is_the_value_that_it_had_before() -> None:
    spec = accepted("rule f(x) { update <- update * 2\n update <- update + x }\nmomentum { in bf16 { f(update) } }")
    copy, *_ = (each for each in spec.matrix.stages[0].statements if isinstance(each, typed.Set))
    assert (copy.variable.name, copy.variable.role) == ("x", "local")


def test_names_are_defined_in_any_order_but_not_by_themselves() -> None:
    accepted("let a = b + 1\nlet b = step\nconst c = d\nconst d = 2\nscale a * c")
    assert codes("let a = b\nlet b = a\nscale a") == ["M0211"]
    assert codes("const a = a\nscale 2") == ["M0211"]


def test_a_tuple_is_taken_apart_at_the_top_and_in_a_block() -> None:
    spec = accepted(
        "hyper betas = (0.9, 0.99)\nlet (a, b) = betas\n"
        "momentum { let (c, d) = betas\n update <- update * (a + b + c + d) }"
    )
    symbols = {str(symbol) for part in typed.scalars(spec.matrix) for symbol in scalar.symbols(part)}
    assert symbols == {"betas[0]", "betas[1]"}
