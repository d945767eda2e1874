"""How a diagnostic is laid out: which source lines are shown, what is underlined, and that nothing else gets out."""

from __future__ import annotations

import pytest

from muondsl.check import check
from muondsl.diagnostics.errors_names import DuplicateName, UnknownName
from muondsl.diagnostics.render import WIDTH, render
from muondsl.diagnostics.span import Source, Span
from muondsl.diagnostics.spec_error import SpecError


def unknown(text: str, word: str, name: str = "mine.muon") -> list[str]:
    """The lines of a diagnostic that points at `word`."""
    start = text.index(word)
    return render(UnknownName(Span(Source(name, text), start, start + len(word)), word, None)).splitlines()


def test_the_word_is_underlined_where_it_stands_in_its_line() -> None:
    assert unknown("a\nlet b = cc + d\n", "cc")[1:5] == [
        " --> mine.muon:2:9",
        "  |",
        "2 | let b = cc + d",
        "  |         ^^ nothing of this name is in reach",
    ]


def test_of_a_place_of_several_lines_the_first_is_underlined_to_its_end() -> None:
    line, pointer = unknown("x <- (a +\n  b)\n", "(a +\n  b)")[-2:]
    assert line == "1 | x <- (a +"
    assert pointer == "  |      ^^^^ nothing of this name is in reach"


def test_a_long_line_is_cut_around_the_place() -> None:
    line, pointer = unknown("let x = " + "y + " * 100 + "mistake" + " + y" * 100, "mistake")[3:5]
    assert len(line) <= len("1 | ") + WIDTH
    start = pointer.index("^")
    assert line[start : start + len("mistake")] == "mistake"


def test_a_tab_does_not_move_the_underline() -> None:
    line, pointer = unknown("\tlet b = cc\n", "cc")[3:5]
    assert line[pointer.index("^") :] == "cc"


def test_a_file_name_cannot_send_anything_to_the_terminal() -> None:
    assert unknown("cc", "cc", "evil\x1b[2J\n.muon")[1] == r" --> evil\x1b[2J\n.muon:1:1"


def test_line_numbers_of_all_places_share_one_column() -> None:
    source = Source("mine.muon", "let a = 1\n" * 10 + "let a = 1\n")
    lines = render(DuplicateName(Span(source, 104, 105), "a", Span(source, 4, 5))).splitlines()
    assert [line for line in lines if "let a" in line] == ["11 | let a = 1", " 1 | let a = 1"]


def test_errors_come_in_the_order_of_their_places_and_each_once() -> None:
    text = "optimizer Mine\nhyper lr = 0.1\nrule wrong() { update <- foo*update }\n"
    text += "momentum {\n  wrong()\n  wrong()\n  update <- bar\n}\n"
    with pytest.raises(SpecError) as caught:
        check(Source("mine.muon", text))
    assert [diagnostic.span.text for diagnostic in caught.value.diagnostics] == ["foo", "bar"]


def test_of_a_long_chain_of_rules_the_innermost_uses_and_that_of_the_spec_are_shown() -> None:
    rules = "".join(f"rule r{i}(x) {{ r{i + 1}(x) }}\n" for i in range(10))
    text = f"optimizer Mine\nhyper lr = 0.1\n{rules}rule r10(x) {{ update <- update @ x }}\nmomentum r0(1)\n"
    with pytest.raises(SpecError) as caught:
        check(Source("mine.muon", text))
    (diagnostic,) = caught.value.diagnostics
    assert [label.span.text for label in diagnostic.context] == ["r10(x)", "r9(x)", "r8(x)", "r7(x)", "r0(1)"]
