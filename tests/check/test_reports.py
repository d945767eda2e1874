"""All errors of a file are reported at once, each once, at the words that are wrong; what follows from them is not."""

from __future__ import annotations

import pytest

from tests.check.specs import HEAD, accepted, codes, errors, places

SIX_MISTAKES = """
hyper momentum = 1.5  in [0, 1)
rule nobody_uses(factor) { update <- update * facter }
momentum nesterov(betta = momentum)
orthogonalize { update <- update @ update }
scale sqroot(rows)
decay decoupledd(0.1)
"""


def test_six_independent_mistakes_are_six_errors() -> None:
    assert places(SIX_MISTAKES) == [
        "M0401 1.5",
        "M0201 facter",
        "M0602 betta",
        "M0302 update @ update",
        "M0204 sqroot",
        "M0203 decoupledd",
    ]


@pytest.mark.parametrize(
    ("text", "only"),
    [
        ("let a = wrong\nlet b = a * 2\nscale b", "M0201 wrong"),
        ("hyper h = true\nscale if h > 0 then 1 else 2", "M0404 true"),
        ("momentum {\n let x = wrong\n let y = x * update\n update <- y @ x'\n}", "M0201 wrong"),
        ("momentum {\n let x = update * 2\n update <- wrong * x\n}", "M0201 wrong"),
        ("momentum {\n state m[cols] = zeros\n m <- m + update\n update <- m\n}", "M0311 cols"),
        ("momentum {\n state m = zeros\n m <- wrong(m)\n update <- m\n}", "M0204 wrong"),
        ("momentum ema(beta = wrong)", "M0201 wrong"),
        ("scale wrong", "M0201 wrong"),
        ("hyper unread = 1\nscale wrong", "M0201 wrong"),
        ("hyper h = 1\notherwise adamw(eps = wrong) with h = 2", "M0201 wrong"),
        ("momentum {\n for i in wrong { update <- update * i }\n}", "M0201 wrong"),
        ("const a = wrong\nscale a", "M0201 wrong"),
        ("route matrixx ndim == 2\nroute otherwise rest\notherwise adamw()", "M0701 matrixx"),
        ('use "nowhere.muon"\nmomentum theirs(their_constant)', 'M0102 "nowhere.muon"'),
        ('use "nowhere.muon"\nrule f() { theirs(their_constant) }\nmomentum f()', 'M0102 "nowhere.muon"'),
    ],
)
def test_what_reads_something_wrong_is_not_wrong_as_well(text: str, only: str) -> None:
    assert places(text) == [only]


def test_a_missing_parent_is_the_only_error_of_what_it_might_have_held() -> None:
    text = "optimizer Mine extends Nobody\nmomentum nesterov(beta = momentum)\n"
    assert codes(text, head="") == ["M0101"]


def test_an_error_in_a_rule_of_the_library_shows_the_uses_that_led_there() -> None:
    (error,) = errors("orthogonalize newton_schulz(steps = 0.5)")
    assert error.span.source.name == "rules/orthogonalize.muon"
    assert error.context[-1].span.text == "newton_schulz(steps = 0.5)"


@pytest.mark.parametrize(
    ("text", "suggestion"),
    [
        ("momentum nestrov(0.9)", "nesterov"),
        ("momentum ema(bta = 0.9)", "beta"),
        ("hyper momentum = 0.9\nmomentum ema(momentun)", "momentum"),
        ("scale sqr(rows)", "sqrt"),
        ("scale rowz", "rows"),
        ("momentum { state m: bfloat16 = zeros\n m <- m + update\n update <- m }", "bf16"),
        ("momentum { state m: fp31 = zeros\n m <- m + update\n update <- m }", "fp32"),
        ("rule f() { update <- zeroz }\nmomentum f()", "zeros"),
        ("momentum { updat <- gradient }", "update"),
        ("adapt { update <- update - mean(update, over = columns) }", "cols"),
        ("otherwise adamw(weight_decay = lr) with lrr = 1", "lr"),
        ("otherwise adamw()\nroute matrx ndim == 2\nroute otherwise rest", "matrix"),
    ],
)
def test_a_close_match_is_suggested(text: str, suggestion: str) -> None:
    (error,) = errors(text)
    assert error.helps() == (f"did you mean `{suggestion}`?",)


def test_nothing_far_away_is_suggested() -> None:
    (error,) = errors("scale xyzzy")
    assert error.helps() == ()


def test_the_same_mistake_in_two_uses_of_a_rule_is_one_error() -> None:
    assert places("rule f() { update <- wrong * update }\nmomentum f()\nadapt f()") == ["M0201 wrong"]


def test_lines_of_a_file_with_windows_line_ends_are_counted_alike() -> None:
    (error,) = errors("scale 2\r\ndecay wrong()\r\n", head=HEAD.replace("\n", "\r\n"))
    assert error.span.line == 4
    assert accepted("scale 2\r\n") == accepted("scale 2\n")
