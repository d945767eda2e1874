"""What changes the identity of a spec, and what does not."""

from __future__ import annotations

import pytest

from muondsl.diagnostics.span import Source
from muondsl.interface import pipeline
from muondsl.lower import fingerprint
from muondsl.parse import format_text
from muondsl.pipeline import Options

TEXT = """
optimizer Sample
hyper lr = 1e-3 in [0, inf)
hyper momentum = 0.95 in [0, 1)
const table = [(3.4445, -4.7750, 2.0315)]
rule mine(beta) {
  state momentum_buffer = zeros
  momentum_buffer <- lerp(momentum_buffer, update, 1 - beta)
  let ahead = lerp(update, momentum_buffer, beta)
  update <- ahead
}
momentum mine(beta = momentum)
orthogonalize newton_schulz(coefficients = table)
scale sqrt(max(1, rows / cols))
"""


def identity(text: str) -> str:
    return fingerprint(pipeline(text, Options()).checked())


SAME = {
    "a comment": ("scale", "# on the shape\nscale"),
    "spacing": ("momentum = 0.95", "momentum   =   0.95"),
    "a docstring": ("\noptimizer", '"""Words."""\noptimizer'),
    "a citation": ("hyper lr", 'cite "somewhere"\nhyper lr'),
    "the name of a local": ("ahead", "further"),
    "the name of a rule": ("mine(", "own("),
    "the name of a constant": ("table", "numbers"),
    "a default argument written out": ("coefficients = table", "steps = 5, coefficients = table"),
    "the spelling of a number": ("-4.7750", "-4.775"),
    "parentheses": ("max(1, rows / cols)", "max(1, (rows / cols))"),
}
DIFFERENT = {
    "a coefficient": ("3.4445", "3.4446"),
    "a sign": ("-4.7750", "4.7750"),
    "a default": ("0.95", "0.9"),
    "a range": ("[0, 1)", "[0, 1]"),
    "the number of steps": ("coefficients = table", "steps = 4, coefficients = table"),
    "the name of a state": ("momentum_buffer", "exp_avg"),
    "the initial value of a state": ("= zeros", "= ones"),
    "the format of a state": ("momentum_buffer = zeros", "momentum_buffer: fp32 = zeros"),
    "the order of a difference": ("1 - beta", "beta - 1"),
    "the scale": ("rows / cols", "cols / rows"),
    "the name of the optimizer": ("Sample", "Example"),
    "a removed stage": ("scale sqrt(max(1, rows / cols))", ""),
    "another precision": ("coefficients = table", "coefficients = table, dtype = fp16"),
}


@pytest.mark.parametrize("change", SAME)
def test_what_computes_the_same_has_the_same_fingerprint(change: str) -> None:
    old, new = SAME[change]
    assert old in TEXT
    assert identity(TEXT.replace(old, new)) == identity(TEXT)


@pytest.mark.parametrize("change", DIFFERENT)
def test_what_computes_something_else_has_another_fingerprint(change: str) -> None:
    old, new = DIFFERENT[change]
    assert old in TEXT
    assert identity(TEXT.replace(old, new)) != identity(TEXT)


def test_the_layout_does_not_change_the_fingerprint() -> None:
    formatted = format_text(Source("<text>", TEXT))
    assert formatted != TEXT
    assert identity(formatted) == identity(TEXT)


def test_options_do_not_change_the_fingerprint() -> None:
    files = {
        pipeline(TEXT, Options(numerics, precision)).file().text.splitlines()[1]
        for numerics in ("faithful", "fast")
        for precision in (None, "fp32")
    }
    assert len(files) == 1
