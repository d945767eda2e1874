"""What the grammar makes of a text, and what is said of a text that it refuses."""

from __future__ import annotations

from time import process_time
from typing import TYPE_CHECKING

import pytest

from muondsl.diagnostics.diagnostic import Diagnostic
from muondsl.diagnostics.span import Source
from muondsl.diagnostics.spec_error import SpecError
from muondsl.parse import ast, parse, read
from muondsl.parse.text_to_tree import MAXIMUM_BYTES, MAXIMUM_DEPTH, MAXIMUM_ERRORS

if TYPE_CHECKING:
    from pathlib import Path

a, b, c, x, y, A = (ast.Name(name) for name in ("a", "b", "c", "x", "y", "A"))
two = ast.Number("2")


def tree(text: str) -> ast.File:
    return parse(Source("test.muon", text))


def item(text: str) -> ast.Item:
    (only,) = tree(text).items
    return only


def expression(text: str) -> ast.Expression:
    stage = item(f"scale {text}")
    assert isinstance(stage, ast.Stage)
    assert not isinstance(stage.body, ast.Block)
    return stage.body


def statement(text: str) -> ast.Statement:
    stage = item(f"momentum {{\n  {text}\n}}")
    assert isinstance(stage, ast.Stage)
    assert isinstance(stage.body, ast.Block)
    return stage.body.statements[0]


def refused(text: str) -> tuple[Diagnostic, ...]:
    """The diagnostics of a text that does not parse, each of which can be rendered."""
    with pytest.raises(SpecError) as caught:
        tree(text)
    assert str(caught.value).count("error[") == len(caught.value.diagnostics)
    return caught.value.diagnostics


def codes(text: str) -> list[str]:
    return [diagnostic.code for diagnostic in refused(text)]


def binary(left: ast.Expression, operator: str, right: ast.Expression) -> ast.Binary:
    return ast.Binary(operator, left, right)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("c*A@A", binary(binary(c, "*", A), "@", A)),
        ("-x**2", ast.Unary("-", binary(x, "**", two))),
        ("x**-y**2", binary(x, "**", ast.Unary("-", binary(y, "**", two)))),
        ("a**b**c", binary(a, "**", binary(b, "**", c))),
        ("-x * y", binary(ast.Unary("-", x), "*", y)),
        ("a - b - c", binary(binary(a, "-", b), "-", c)),
        ("a - (b - c)", binary(a, "-", binary(b, "-", c))),
        ("a - -b", binary(a, "-", ast.Unary("-", b))),
        ("a / b / c", binary(binary(a, "/", b), "/", c)),
        ("a + b * c", binary(a, "+", binary(b, "*", c))),
        ("x @ x'", binary(x, "@", ast.Transpose(x))),
        ("x'**2", binary(ast.Transpose(x), "**", two)),
        ("x''[a]'", ast.Transpose(ast.Index(ast.Transpose(ast.Transpose(x)), a))),
        ("(a + b)'", ast.Transpose(binary(a, "+", b))),
        ("a < b and not c", binary(binary(a, "<", b), "and", ast.Unary("not", c))),
        ("not a == b", ast.Unary("not", binary(a, "==", b))),
        ("a or b and c", binary(a, "or", binary(b, "and", c))),
        ("a<-b", binary(a, "<", ast.Unary("-", b))),
        ("if a then b else c + x", ast.Conditional(a, b, binary(c, "+", x))),
        ("if a then b else if c then x else y", ast.Conditional(a, b, ast.Conditional(c, x, y))),
        ("(a, b)", ast.Tuple((a, b))),
        ("(a, b,)", ast.Tuple((a, b))),
        ("(a)", a),
        ("[]", ast.List(())),
        ("[a,]", ast.List((a,))),
        ('"# {"', ast.Text("# {")),
        ("f()", ast.Call("f", ())),
        ("f(a, b = c,)", ast.Call("f", (ast.Argument(None, a), ast.Argument("b", c)))),
    ],
)
def test_expression_is_read_with_the_precedence_of_mathematics(text: str, expected: ast.Expression) -> None:
    assert expression(text) == expected


def test_comparisons_do_not_chain() -> None:
    assert codes("scale a < b < c") == ["M0006"]
    assert expression("(a < b) < c") == binary(binary(a, "<", b), "<", c)


@pytest.mark.parametrize("text", ["4.7750", "2e-4", ".5", "1.", "8.156554524902461", "007", "1E+5"])
def test_number_keeps_its_digits(text: str) -> None:
    assert expression(text) == ast.Number(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("optimizer A", ast.Optimizer("A", None)),
        ("optimizer A extends B", ast.Optimizer("A", "B")),
        ('cite "x"', ast.Cite("x")),
        ('use "x.muon"', ast.Use("x.muon")),
        ("hyper a = b", ast.Hyper("a", b, None)),
        ("hyper a = b in [x, y)", ast.Hyper("a", b, ast.Interval(x, y, True, False))),
        ("hyper a = b in (x, y]", ast.Hyper("a", b, ast.Interval(x, y, False, True))),
        ('const a = b cite "x"', ast.Const("a", b, "x")),
        ("let (a, b) = c", ast.Let(("a", "b"), c)),
        ("rule f() {}", ast.Rule("f", (), None, ast.Block(()))),
        (
            'rule f(a, b = c,) { "x" in bf16 {} }',
            ast.Rule(
                "f",
                (ast.Parameter("a", None), ast.Parameter("b", c)),
                "x",
                ast.Block((ast.Precision("bf16", ast.Block(())),)),
            ),
        ),
        ("decay f()", ast.Stage("decay", ast.Call("f", ()))),
        ("otherwise a", ast.Otherwise(a, ())),
        ("otherwise a with a = b, b = c", ast.Otherwise(a, (ast.Entry("a", b), ast.Entry("b", c)))),
        ("otherwise {}", ast.Otherwise(ast.Block(()), ())),
        ("route matrix a", ast.Route("matrix", a)),
        ("view a where b", ast.View((ast.ViewStep("a", ()),), b)),
        ("view a, b(c, a) where b", ast.View((ast.ViewStep("a", ()), ast.ViewStep("b", (c, a))), b)),
        ('checkpoint "x" with a = b', ast.Checkpoint("x", (ast.Entry("a", b),))),
    ],
)  # fmt: skip
def test_item_becomes_its_node(text: str, expected: ast.Item) -> None:
    assert item(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("state a = b", ast.State("a", None, None, b)),
        ("state a[b, 2]: fp32 = c", ast.State("a", (b, two), "fp32", c)),
        ("let a = b", ast.Let(("a",), b)),
        ("a <- b", ast.Assign("a", b)),
        ("momentum <- b", ast.Assign("momentum", b)),
        ("for a in b {}", ast.For(("a",), b, ast.Block(()))),
        ("for (a, b) in c { x <- y }", ast.For(("a", "b"), c, ast.Block((ast.Assign("x", y),)))),
        ("f(a)", ast.Apply(ast.Call("f", (ast.Argument(None, a),)))),
        ("f(a) on x", ast.Apply(ast.Call("f", (ast.Argument(None, a),)), "x")),
        ("f(a) on momentum", ast.Apply(ast.Call("f", (ast.Argument(None, a),)), "momentum")),
        ("f(a) on on", ast.Apply(ast.Call("f", (ast.Argument(None, a),)), "on")),
        ("export let a = b", ast.Let(("a",), b, True)),
        ("export let (a, b) = c", ast.Let(("a", "b"), c, True)),
        ("on <- b", ast.Assign("on", b)),
        ("export(a)", ast.Apply(ast.Call("export", (ast.Argument(None, a),)))),
    ],
)
def test_statement_becomes_its_node(text: str, expected: ast.Statement) -> None:
    assert statement(text) == expected


def test_words_of_statements_are_names_where_no_such_statement_begins() -> None:
    both = tree("adapt { f(a)\n on <- b\n export <- b\n let on = b }").items[0]
    assert isinstance(both, ast.Stage)
    assert isinstance(both.body, ast.Block)
    call = ast.Call("f", (ast.Argument(None, a),))
    assigned = (ast.Assign("on", b), ast.Assign("export", b), ast.Let(("on",), b))
    assert both.body.statements == (ast.Apply(call), *assigned)
    assert codes("export let a = b") == ["M0011"]


def test_docstring_is_the_string_before_the_first_item() -> None:
    assert tree('"""one\n"two" """\nscale a').docstring == 'one\n"two" '
    assert tree('# first\n"one"').docstring == "one"
    assert tree("").docstring is None
    assert tree('""""""').docstring == ""


def test_word_of_a_stage_is_a_name_except_at_the_start_of_a_line() -> None:
    read_back = tree("hyper momentum = 0.95\nmomentum ema(beta = momentum)\nscale momentum *\n  momentum")
    momentum = ast.Name("momentum")
    assert read_back.items == (
        ast.Hyper("momentum", ast.Number("0.95"), None),
        ast.Stage("momentum", ast.Call("ema", (ast.Argument("beta", momentum),))),
        ast.Stage("scale", binary(momentum, "*", momentum)),
    )
    assert codes("scale a *\nmomentum f()") == ["M0006"]


def test_cite_belongs_to_a_const_except_at_the_start_of_a_line() -> None:
    assert tree('const a = b\n  cite "x"\ncite "y"').items == (ast.Const("a", b, "x"), ast.Cite("y"))
    assert tree('const a = b\ncite "y"').items == (ast.Const("a", b, None), ast.Cite("y"))


@pytest.mark.parametrize("word", ["if", "then", "else", "and", "or", "not", "for", "in"])
def test_words_of_expressions_and_loops_are_never_names(word: str) -> None:
    assert codes(f"hyper {word} = 1") == ["M0006"]
    assert codes(f"scale 2 * {word}") in (["M0006"], ["M0007"])
    assert expression(f"{word}_1") == ast.Name(f"{word}_1")


def test_places_point_into_the_source_and_do_not_count() -> None:
    source = Source("test.muon", "scale  a + (b)  # c")
    file = parse(source)
    stage = file.items[0]
    assert isinstance(stage, ast.Stage)
    assert (stage.span.text, stage.body.span.text, stage.span.line) == ("scale  a + (b)", "a + (b)", 1)
    assert [(comment.text, comment.span.text) for comment in file.comments] == [("# c", "# c")]
    assert file == tree("scale a + b")


def test_line_ends_of_windows_count_as_one() -> None:
    assert tree('"""a\r\nb"""\r\nscale x\r\n# c\r\n').docstring == "a\nb"
    assert codes("scale x\rscale y") == ["M0003"]


def test_errors_of_several_items_are_all_reported() -> None:
    found = refused("optimizr A\nhyper a 1\nscale )\nmomentum {\n  x < 1\n}\ndecay a ^ 2\nscale a\n")
    assert [(error.span.line, error.code) for error in found] == [
        (1, "M0011"),
        (2, "M0006"),
        (3, "M0006"),
        (5, "M0006"),
        (7, "M0005"),
    ]


def test_no_more_errors_are_reported_than_one_reads() -> None:
    assert len(refused("hyper a 1\n" * 200)) == MAXIMUM_ERRORS


def test_unknown_item_suggests_close_match() -> None:
    (error,) = refused("momentm nesterov()")
    assert (error.code, error.helps()) == ("M0011", ("did you mean `momentum`?",))


def test_assignment_with_equals_sign_is_explained() -> None:
    (error,) = refused("momentum {\n  x = 1\n}")
    assert (error.code, error.span.text) == ("M0006", "=")
    assert "`<-`" in error.helps()[0]


@pytest.mark.parametrize(
    ("text", "quote", "place"),
    [
        ('cite "a', '"', 5),
        ('cite "a\nscale "b"', '"', 5),
        ('"""a', '"""', 0),
        ('scale x\nrule f() { """a "b" c }', '"""', 19),
    ],
)
def test_string_that_is_never_closed_is_shown_where_it_begins(text: str, quote: str, place: int) -> None:
    (error,) = refused(text)
    assert (error.code, error.span.text, error.span.start) == ("M0004", quote, place)


@pytest.mark.parametrize("character", ["\x00", "\x1b", "\r", "\x85", "\u2028", "\u202e", "\u2066", "\ud800"])
@pytest.mark.parametrize("text", ["scale {} x", "# {}", 'cite "{}"', '"""{}"""'])
def test_characters_that_hide_or_reorder_text_are_refused_everywhere(character: str, text: str) -> None:
    assert codes(text.format(character)) == ["M0003"]


@pytest.mark.parametrize("text", ["scale é", "scale a ^ b", "scale a & b", "scale a; b", "scale `a`", "\ufeff", "$"])
def test_characters_outside_the_language_are_refused(text: str) -> None:
    assert codes(text) == ["M0005"]


@pytest.mark.parametrize("text", ["scale", "scale a +", "momentum {", "rule f(", "scale [a,", "scale if a then b"])
def test_text_that_ends_too_early_says_what_is_missing(text: str) -> None:
    (error,) = refused(text)
    assert error.code == "M0007"
    assert error.label().startswith("expected ")


@pytest.mark.parametrize(
    "text", ["9" * 65, "9" * 60_000, "1e999", "1e" + "9" * 60_000, "1e-999", "0." + "0" * 63 + "1"]
)
def test_number_that_no_float_holds_is_refused(text: str) -> None:
    assert codes(f"scale {text}") == ["M0009"]


LONG = 20_000
DEEP = {
    "parentheses": ("-(", "x", ")"),
    "calls": ("f(", "x", ")"),
    "named arguments": ("f(a = ", "x", ")"),
    "lists": ("[", "", "]"),
    "tuples": ("(x, ", "x", ")"),
    "minus signs": ("-", "x", ""),
    "negations": ("not ", "x", ""),
    "sums": ("x + ", "x", ""),
    "products": ("x @ ", "x", ""),
    "conjunctions": ("x and ", "x", ""),
    "powers": ("x**", "x", ""),
    "transposes": ("", "x", "'"),
    "indices": ("x[", "x", "]"),
    "chained indices": ("", "x", "[0]"),
    "conditions": ("if ", "x", " then x else x"),
    "branches": ("if x then ", "x", " else x"),
    "chains of conditionals": ("if x then x else ", "x", ""),
    "blocks": ("{ in bf16 ", "{}", "}"),
    "loops": ("{ for a in b ", "{}", "}"),
}


@pytest.mark.parametrize("kind", DEEP)
def test_deep_nesting_is_refused_in_little_time(kind: str) -> None:
    before, core, after = DEEP[kind]
    for depth in (MAXIMUM_DEPTH + 1, 1_000, LONG // len(before + after)):
        begin = process_time()
        assert codes(f"scale {before * depth}{core}{after * depth}") == ["M0008"]
        assert process_time() - begin < 2


@pytest.mark.parametrize("kind", [kind for kind, (before, _, _) in DEEP.items() if before])
def test_deep_nesting_that_never_ends_is_refused_in_little_time(kind: str) -> None:
    before = DEEP[kind][0]
    begin = process_time()
    assert codes(f"scale {before * (LONG // len(before))}") in (["M0006"], ["M0007"])
    assert process_time() - begin < 2


@pytest.mark.parametrize("kind", DEEP)
def test_nesting_of_some_levels_is_accepted(kind: str) -> None:
    before, core, after = DEEP[kind]
    tree(f"scale {before * 20}{core}{after * 20}")


def test_superfluous_parentheses_are_no_nesting() -> None:
    assert expression("(" * 5_000 + "x" + ")" * 5_000) == x


@pytest.mark.parametrize("text", ["x," * (MAXIMUM_BYTES // 2), "hyper a 1\n" * (MAXIMUM_BYTES // 10), "#\n" * 30_000])
def test_text_as_large_as_may_be_is_read_in_little_time(text: str) -> None:
    begin = process_time()
    try:
        tree(f"scale [{text}]" if text.startswith("x") else text)
    except SpecError as error:
        str(error)
    assert process_time() - begin < 5


def refused_file(path: Path) -> list[str]:
    with pytest.raises(SpecError) as caught:
        read(path)
    assert str(path) in str(caught.value)
    return [diagnostic.code for diagnostic in caught.value.diagnostics]


def test_file_is_read_with_or_without_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "a.muon"
    for encoding in ("utf-8", "utf-8-sig"):
        path.write_bytes('cite "σ"'.encode(encoding))
        assert parse(read(path, "shown.muon")).items == (ast.Cite("σ"),)
    assert read(path, "shown.muon").name == "shown.muon"


def test_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.muon"
    for encoding in ("utf-16", "latin-1", "utf-32"):
        path.write_bytes('cite "é"'.encode(encoding))
        assert refused_file(path) == ["M0002"]


def test_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    assert refused_file(tmp_path) == ["M0001"]
    assert refused_file(tmp_path / "missing.muon") == ["M0001"]
    assert refused_file(tmp_path / "a.muon" / "b.muon") == ["M0001"]


def test_file_above_the_limit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.muon"
    path.write_bytes(b"#" * (MAXIMUM_BYTES + 1))
    assert refused_file(path) == ["M0010"]
