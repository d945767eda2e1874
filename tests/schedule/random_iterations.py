"""Statements that orthogonalize, or nearly: iterations in every form in which one may be written."""

from __future__ import annotations

from random import Random

QUINTIC = "odd_quintic({steps}, [(3.4445, -4.775, 2.0315), (2.5, -2, 0.5)])"
DIVIDED = "update <- update / ({size})"

FORMS = {
    "rule": ["newton_schulz(steps = {steps}, clamped = {flag}, dtype = {dtype})"],
    "cubic": [
        DIVIDED,
        "for (a, b) in take([(1.5, -0.5), (1.4, -0.4)], {steps}) {{",
        "  update <- a*update + b*(update @ update') @ update",
        "}}",
    ],
    "cubic with its factor inside": [
        DIVIDED,
        "for (a, b) in take([(1.5, -0.5), (1.4, -0.4)], {steps}) {{",
        "  update <- a*update + (b*(update @ update')) @ update",
        "}}",
    ],
    "two": [
        "newton_schulz(steps = {steps}, dtype = {dtype})",
        "update <- tanh(update)",
        "newton_schulz({steps}, dtype = bf16)",
    ],
    "inside read": [DIVIDED, QUINTIC, "let mid = update", QUINTIC, "update <- update + 0.1*mid"],
    "source read": [DIVIDED, "let before = update", QUINTIC, "update <- update + {before}"],
    "two of one source": [
        DIVIDED,
        "let before = update",
        QUINTIC,
        "let first = update",
        "update <- before",
        "odd_quintic(2, [(2, -1.5, 0.5)])",
        "update <- update + first",
    ],
    "turned": [
        DIVIDED,
        "let turned = update'",
        "for (a, b, c) in take([(2, -1.5, 0.5)], {steps}) {{",
        "  let s = turned @ turned'",
        "  turned <- a*turned + (b*s + c*(s @ s)) @ turned",
        "}}",
        "update <- turned'",
    ],
    "input": ["update <- {input}", "odd_quintic(1, [(0.5, -0.01, 0.001)])"],
    "hypers": [DIVIDED, "let s = update @ update'", "update <- {one}*update + (0.5*s - {two}*(s @ s)) @ update"],
    "square read": [
        DIVIDED,
        "let s = update @ update'",
        "let p = {polynomial}",
        "update <- 0.5*update + p @ update + 0.1*{reduced}",
    ],
    "square": [
        DIVIDED,
        "let square = update' @ update",
        "for (a, b, c) in take([(1.5, -0.5, 0.1)], {steps}) {{",
        "  let s = square @ square'",
        "  square <- a*square + (b*s + c*(s @ s)) @ square",
        "}}",
        "update <- {multiplied}",
    ],
    "state divides": [
        "state divisor[1, 1] = ones",
        "divisor <- divisor + norm(update)",
        "update <- update / divisor",
        QUINTIC,
        "update <- update + 0.1*divisor",
    ],
    "state is divided by": [
        "state divisor[1, 1] = 0.5",
        "update <- update / (divisor + norm(update))",
        "divisor <- 0.5*norm(update) + 0.1*divisor",
        QUINTIC,
    ],
}

CHOICES = {
    "size": ("norm(update) + 1e-3", "max(norm(update), 0.01)", "1.02*norm(update) + 1e-6"),
    "flag": ("true", "false"),
    "dtype": ("bf16", "fp32", "fp16"),
    "before": ("before", "norm(before)", "(before @ before') @ before"),
    "input": ("parameter", "gradient"),
    "polynomial": ("0.5*s + 0.25*(s @ s)", "tanh(s) - s", "s / (1 + norm(s, over = rows))", "s @ s - 0.5*s", "s + s'"),
    "reduced": ("update", "norm(s)", "mean(s, over = rows)'"),
    "multiplied": ("update @ square", "(square @ update')'"),
}


def iteration_lines(random: Random, one: str, two: str) -> list[str]:
    """The lines of a block; `one` and `two` are scalars."""
    words = {name: random.choice(choices) for name, choices in CHOICES.items()}
    words |= {"steps": str(random.randint(1, 4)), "one": one, "two": two}
    return [line.format(**words) for line in random.choice([*FORMS.values()])]
