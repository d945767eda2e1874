"""Whatever the text is, a stage takes it or raises SpecError, soon."""

from __future__ import annotations

from random import Random
from time import process_time
from typing import TYPE_CHECKING

import pytest

from muondsl.check import check
from muondsl.diagnostics.span import Source
from muondsl.diagnostics.spec_error import SpecError
from muondsl.parse.text_to_tree import parse
from muondsl.parse.tree_to_text import format_tree
from muondsl.pipeline import Pipeline
from tests.parse.mutations import ROOT, random_texts

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS = 2.0


def format_twice(source: Source) -> None:
    """Formats, and compares the trees, the comments and the second formatting."""
    tree = parse(source)
    text = format_tree(tree)
    again = parse(Source(source.name, text))
    assert again == tree
    assert [comment.text for comment in again.comments] == [comment.text.rstrip() for comment in tree.comments]
    assert format_tree(again) == text


def check_beside_specs(source: Source) -> None:
    """Checks as if the text were a file among the specs, so that it may extend one of them."""
    check(source, ROOT / "specs")


def compile_to_python(source: Source) -> None:
    compile(Pipeline(source, ROOT / "specs").file().text, "generated.py", "exec")


TARGETS: dict[str, Callable[[Source], object]] = {
    "parse": parse,
    "format": format_twice,
    "check": check_beside_specs,
    "compile": compile_to_python,
}


def is_accepted(target: Callable[[Source], object], text: str) -> bool:
    try:
        target(Source("fuzz.muon", text))
    except SpecError as error:
        rendered = str(error)
    except Exception as error:
        error.add_note(f"for {text!r}")
        raise
    else:
        return True
    assert rendered.startswith("error[M"), text
    return False


def fuzz(target: Callable[[Source], object], count: int, seed: int) -> str:
    """Feeds `count` texts to the target and says how it went."""
    accepted, slowest, slowest_text = 0, 0.0, ""
    for text in random_texts(Random(seed), count):
        begin = process_time()
        accepted += is_accepted(target, text)
        if (taken := process_time() - begin) > slowest:
            slowest, slowest_text = taken, text
    report = f"{count} texts, {accepted} of them valid; the slowest took {slowest:.3f} s"
    assert slowest < SECONDS, f"{report}: {slowest_text!r}"
    return report


@pytest.mark.parametrize("target", TARGETS)
def test_any_text_is_taken_or_refused_with_a_diagnostic(target: str) -> None:
    print(fuzz(TARGETS[target], 1_500, seed=1))


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_any_of_many_texts_is_taken_or_refused_with_a_diagnostic(target: str) -> None:
    print(fuzz(TARGETS[target], 20_000, seed=2))


def test_fuzzing_is_the_same_for_the_same_seed() -> None:
    assert list(random_texts(Random(3), 50)) == list(random_texts(Random(3), 50))
