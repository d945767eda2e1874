"""The verifier sees each way in which a program can be broken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from muondsl.ir import program as ir
from muondsl.ir.types import MASK, MATRIX, PARAM, SCALAR, Type
from muondsl.ir.verify import InvalidProgram, verify

HERE = ir.Origin("", "")
WHOLE = Type(MATRIX, PARAM)


def define(value: str, operation: ir.Operation, kind: Type = WHOLE) -> ir.Definition:
    return ir.Definition(value, operation, kind, HERE)


def program() -> ir.Program:
    definitions = (
        define("p", ir.Input("parameter", "parameter")),
        define("g", ir.Input("gradient", "gradient")),
        define("n", ir.Reduce("norm", "g", None), Type(SCALAR, PARAM)),
        define("u", ir.Map("/", ("g", "n"))),
        define("t", ir.Transpose("u"), Type(MATRIX.transposed, PARAM)),
        define("q", ir.Map("-", ("p", "u"))),
    )
    return ir.Program("matrix", definitions, (), (ir.Result("parameter", "q"),))


def with_definition(changed_value: str, **changes: object) -> ir.Program:
    whole = program()
    changed = tuple(replace(each, **changes) if each.value == changed_value else each for each in whole.definitions)
    return replace(whole, definitions=changed)


BREAKS: dict[str, Callable[[], ir.Program]] = {
    "defined twice": lambda: with_definition("n", value="g"),
    "before its definition": lambda: with_definition("n", operation=ir.Reduce("norm", "u", None)),
    "its operation yields": lambda: with_definition("n", type=WHOLE),
    "yields None": lambda: with_definition("u", operation=ir.MatMul("g", "g")),
    "confuses conditions": lambda: with_definition("u", type=Type(MATRIX, MASK)),
    "which is not defined": lambda: replace(program(), results=(ir.Result("parameter", "lost"),)),
    "stores": lambda: replace(program(), results=()),
    "and gets": lambda: replace(program(), results=(ir.Result("parameter", "t"),)),
}


def test_a_valid_program_passes() -> None:
    assert verify(program(), "test") == program()


@pytest.mark.parametrize("complaint", BREAKS)
def test_a_broken_program_is_refused_with_the_name_of_the_pass(complaint: str) -> None:
    with pytest.raises(InvalidProgram, match=complaint) as caught:
        verify(BREAKS[complaint](), "the-pass")
    assert "after the-pass" in str(caught.value)
