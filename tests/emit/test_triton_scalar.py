"""Scalars as kernels compute them, in fp64."""

from __future__ import annotations

import pytest

from muondsl.emit.triton_scalar import to_triton
from muondsl.ir.scalar import Call, Flag, Named, Number, Scalar, Symbol

LR, ROWS = Symbol("lr", "hyper"), Symbol("rows", "shape")
BETA = Symbol("betas", "hyper", 1)
NAMES = {"lr": "lr", "betas[1]": "betas1"}


def call(function: str, *arguments: Scalar) -> Call:
    return Call(function, arguments)


@pytest.mark.parametrize(
    ("scalar", "text"),
    [
        (call("-", Number("1"), LR), "1 - lr"),
        (call("*", LR, call("-", Number("1"), BETA)), "lr * (1 - betas1)"),
        (call("-", LR, call("-", LR, ROWS)), "lr - (lr - rows)"),
        (call("/", LR, call("*", LR, ROWS)), "lr / (lr * rows)"),
        (call("-", call("+", LR, ROWS)), "-(lr + rows)"),
        (call("*", call("-", LR), ROWS), "-lr * rows"),
        (call("+", Number("007"), LR), "7 + lr"),
        (call("*", Number("-0.5"), LR), "-0.5 * lr"),
        (call("*", Number("12345678901234567890"), LR), "12345678901234567890.0 * lr"),
        (Number("0.95"), "double(0.95)"),
        (call("/", Number("1"), Number("3")), "double(1) / double(3)"),
        (call("**", Number("0.95"), ROWS), "power(double(0.95), rows)"),
        (call("**", LR, Number("2")), "power(lr, double(2))"),
        (call("min", LR, Number("0.5"), ROWS), "minimum(minimum(lr, double(0.5)), rows)"),
        (call("max", Number("1"), call("/", ROWS, LR)), "maximum(double(1), rows / lr)"),
        (call("if", call(">", ROWS, Number("2")), LR, Number("1")), "tl.where(rows > 2, lr, double(1))"),
        (call("and", call("<", LR, ROWS), call("==", LR, Number("1"))), "(lr < rows) & (lr == 1)"),
        (call("not", call("or", call("<", LR, ROWS), Flag(True))), "((lr < rows) | (double(1) == 1)) == 0"),
        (call("*", LR, Named("scale", call("sqrt", ROWS))), "lr * scale"),
        (call("*", LR, Named("a", Number("2.5"), is_coefficient=True)), "lr * double(2.5)"),
        (call("lerp", LR, ROWS, Number("0.3")), "lerp(lr, rows, double(0.3))"),
    ],
)
def test_scalar_as_text(scalar: Scalar, text: str) -> None:
    assert to_triton(scalar, NAMES) == text


def test_hidden_names_are_those_of_the_kernel() -> None:
    assert to_triton(call("+", Symbol("tile", "hyper"), LR), {"tile": "tile_2", "lr": "lr"}) == "tile_2 + lr"
