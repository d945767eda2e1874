"""docs/conformance.md says what the tests hold."""

from __future__ import annotations

import ast

import pytest

from tests.conformance.document import DOCUMENT, REGIONS, place_of
from tests.conformance.failures import FAILURES
from tests.conformance.of_torch import OF_TORCH
from tests.family.document import region

NAMED = sorted({test for each in (*OF_TORCH, *FAILURES) for test in each.tests})


@pytest.mark.parametrize("name", REGIONS)
def test_tables_are_those_of_the_tests(name: str) -> None:
    assert region(DOCUMENT.read_text("utf-8"), name) == REGIONS[name](), "run python -m tests.conformance.document"


@pytest.mark.parametrize("test", NAMED)
def test_every_test_that_is_named_is_there(test: str) -> None:
    path, name = place_of(test)
    tree = ast.parse(path.read_text("utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_a_test_of_torch_is_held_or_there_is_a_reason() -> None:
    assert not [each.name for each in OF_TORCH if not each.tests and not each.reason]
    assert len({each.name for each in OF_TORCH}) == len(OF_TORCH)
    assert all(each.tests for each in FAILURES)
