"""The canonical layout: what it looks like, and that it changes neither the tree nor the comments."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from random import Random
from textwrap import dedent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from muondsl.diagnostics.span import Source
from muondsl.diagnostics.spec_error import SpecError
from muondsl.parse import ast, parse
from muondsl.parse.tree_to_text import WIDTH, format_text, format_tree
from tests.parse import mutations, strategies

thorough = settings(max_examples=200, deadline=None, derandomize=True)
x, y = ast.Name("x"), ast.Name("y")


def formatted(text: str) -> str:
    """The text formatted, after looking that nothing is lost and that formatting again changes nothing."""
    tree = parse(Source("test.muon", text))
    result = format_tree(tree)
    again = parse(Source("test.muon", result))
    assert again == tree
    assert texts(again.comments) == texts(tree.comments)
    assert format_tree(again) == result
    return result


def texts(comments: tuple[ast.Comment, ...]) -> list[str]:
    return [comment.text.rstrip() for comment in comments]


def canonical(text: str) -> str:
    """The text without its indent, after looking that it is formatted as it stands."""
    text = dedent(text).lstrip("\n")
    assert formatted(text) == text
    return text


def laid_out(before: str, after: str) -> None:
    assert formatted(dedent(before).lstrip("\n")) == canonical(after)


def of_expression(text: str) -> str:
    return formatted(f"let a = {text}").removeprefix("let a = ").rstrip("\n")


# Every tree


@thorough
@given(strategies.files)
def test_text_of_a_tree_is_parsed_to_the_tree(file: ast.File) -> None:
    assert parse(Source("test.muon", format_tree(file))) == file


@thorough
@given(strategies.files)
def test_formatting_twice_is_formatting_once(file: ast.File) -> None:
    text = format_tree(file)
    assert format_text(Source("test.muon", text)) == text


@thorough
@given(strategies.files, st.integers(0, 1 << 32))
def test_comments_are_kept_in_order_wherever_they_stand(file: ast.File, seed: int) -> None:
    text = mutations.with_comments(format_tree(file), Random(seed))
    tree = parse(Source("test.muon", text))
    assert tree == file
    formatted(text)


@thorough
@given(strategies.files)
def test_text_has_neither_trailing_space_nor_needless_blank_lines(file: ast.File) -> None:
    bare = replace(file, docstring=None, items=tuple(item for item in file.items if not has_docstring(item)))
    text = format_tree(bare)
    lines = text.split("\n")
    assert text == "" or text.endswith("\n")
    assert all(line == line.rstrip(" ") for line in lines)
    assert all(first or second for first, second in pairwise(lines))
    assert lines[0] or not bare.items


def has_docstring(item: ast.Item) -> bool:
    return isinstance(item, ast.Rule) and item.docstring is not None


def test_every_pair_of_operators_keeps_its_parentheses() -> None:
    around = [
        *(lambda node, sign=sign: ast.Binary(sign, node, x) for sign in strategies.OPERATORS),
        *(lambda node, sign=sign: ast.Binary(sign, x, node) for sign in strategies.OPERATORS),
        *(lambda node, sign=sign: ast.Unary(sign, node) for sign in ("-", "not")),
        *(
            lambda node, place=place: ast.Conditional(*(node if place == at else x for at in range(3)))
            for place in range(3)
        ),
        ast.Transpose,
        lambda node: ast.Index(node, x),
        lambda node: ast.Index(x, node),
    ]
    items = tuple(ast.Stage("scale", outer(inner(y))) for outer in around for inner in around)
    assert parse(Source("test.muon", format_tree(ast.File(None, items)))).items == items


@thorough
@given(strategies.expressions, strategies.expressions)
def test_parentheses_are_needed(left: ast.Expression, right: ast.Expression) -> None:
    """Without a pair the tree is another, or none. Around conditionals some are there for the reader."""
    product = ast.Binary("*", left, right)
    text = format_tree(ast.File(None, (ast.Stage("scale", product),)))
    if " then " in text:
        return
    for opening, closing in pairs(text):
        without = text[:opening] + " " + text[opening + 1 : closing] + " " + text[closing + 1 :]
        try:
            tree = parse(Source("test.muon", without))
        except SpecError:
            continue
        assert tree.items != (ast.Stage("scale", product),), without


def pairs(text: str) -> list[tuple[int, int]]:
    """Where parentheses open and close, strings apart."""
    found, opened, place = [], [], 0
    for token in mutations.tokens(text):
        if token == "(":
            opened.append(place)
        elif token == ")":
            found.append((opened.pop(), place))
        place += len(token)
    return found


@pytest.mark.parametrize("text", mutations.seed_specs())
def test_specs_mean_the_same_when_formatted(text: str) -> None:
    formatted(text)


# Layout


@pytest.mark.parametrize("example", [mutations.MOONLIGHT, mutations.MOMENTUM_IN_PLACE, mutations.NEWTON_SCHULZ])
def test_examples_of_the_design_are_formatted(example: str) -> None:
    canonical(example)


def test_empty_file_stays_empty() -> None:
    assert formatted("") == formatted("\n \n") == ""
    assert formatted("# only\n\n\n\n  # comments") == "# only\n\n# comments\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a*x+(b*s+c*(s@s))@x", "a*x + (b*s + c*(s @ s)) @ x"),
        ("0.2*sqrt(max(rows,cols))", "0.2 * sqrt(max(rows, cols))"),
        ("a@b*c+d", "a @ b * c + d"),
        ("a/b+c*d*e", "a / b + c*d*e"),
        ("f(a*b)+c", "f(a * b) + c"),
        ("a*x**2+b", "a*x**2 + b"),
        ("(a+b)**-(c*d)**.5", "(a + b)**-(c * d)**.5"),
        ("-(-x)", "--x"),
        ("(a**b)**(c**d)", "(a**b)**c**d"),
        ("-(x**2)", "-x**2"),
        ("(-x)**2", "(-x)**2"),
        ("((a)-b)-(c-d)", "a - b - (c - d)"),
        ("a*(b*c)", "a * (b * c)"),
        ("(a<b)==(c<d)", "(a < b) == (c < d)"),
        ("not(a and b)or not(not c)", "not (a and b) or not not c"),
        ("(a or b)and c", "(a or b) and c"),
        ("(a@b)'[(0)]", "(a @ b)'[0]"),
        ("(not a)+b", "(not a) + b"),
        ("(if a then b else c)*d", "(if a then b else c) * d"),
        ("if(if a then b else c)then(if d then e else f)else(if g then h else i)",
         "if (if a then b else c) then (if d then e else f) else if g then h else i"),
        ("f( a , b=c , )", "f(a, b = c)"),
        ("[ (1,2,) , ]", "[(1, 2)]"),
        ("8.156554524902461*1E+5*.5*007.", "8.156554524902461 * 1E+5 * .5 * 007."),
    ],
)  # fmt: skip
def test_expression_has_few_parentheses_and_even_spaces(before: str, after: str) -> None:
    assert of_expression(before) == after


@pytest.mark.parametrize(
    ("docstring", "after"),
    [
        ('"one"', '"""one"""'),
        ('""', '""""""'),
        ('""""two" a"""', '""""two" a"""'),
        ('"""a\n  b """', '"""a\n  b """'),
    ],
)
def test_docstring_stands_in_three_quotes(docstring: str, after: str) -> None:
    assert formatted(f"{docstring} scale x") == f"{after}\nscale         x\n"
    assert formatted(f"rule f() {{ {docstring} }}") == f"rule f() {{\n  {after}\n}}\n"


def test_hypers_that_follow_each_other_are_aligned() -> None:
    canonical("""
        hyper lr           = 2e-4  in [0, inf)
        hyper betas        = (0.9, 0.95)
        hyper weight_decay = 0.1   in (0, 1]  # aligned too
        hyper eps          = 1e-10

        hyper a = 1
        # apart
        hyper long_name = 2
    """)


def test_rows_that_would_become_too_long_are_not_aligned() -> None:
    name, value = "n" * 60, "v" * 40
    canonical(f"hyper {name} = 1\nhyper a = {value} + b\n")


def test_assignments_that_follow_each_other_are_aligned() -> None:
    canonical("""
        adapt {
          a    <- b
          long <- b
          let c = d
          c <- d
          in fp32 {
            update <- d
          }
        }
    """)


def test_stages_begin_in_one_column() -> None:
    laid_out(
        """
        gradient clip(1)
        momentum { }
        orthogonalize polar()
        otherwise adamw() with lr=1,eps = 2
        otherwise { f() } with lr=1
        route matrix  ndim==2
        route otherwise ndim != 2
        view transpose , split( 3,4 )   where named( "a" )
        """,
        """
        gradient      clip(1)
        momentum {
        }
        orthogonalize polar()
        otherwise     adamw() with lr = 1, eps = 2
        otherwise {
          f()
        } with lr = 1
        route matrix    ndim == 2
        route otherwise ndim != 2
        view transpose, split(3, 4) where named("a")
        """,
    )


def test_statements_are_indented_by_their_block() -> None:
    laid_out(
        """
        rule f ( a , b=c ) { "doc" state v[rows,1]:fp32=zeros state w = ones g(a)
        for (i,j) in take(c,2) { in b { v<-v' } } let (p,q) = c }
        """,
        '''
        rule f(a, b = c) {
          """doc"""
          state v[rows, 1]: fp32 = zeros
          state w = ones
          g(a)
          for (i, j) in take(c, 2) {
            in b {
              v <- v'
            }
          }
          let (p, q) = c
        }
        ''',
    )


def test_blank_lines_stay_single_and_inside() -> None:
    laid_out(
        """


        hyper a = 1



        momentum {

          a <- b


          # c

          b <- c

        }
        cite "x"


        """,
        """
        hyper a = 1

        momentum {
          a <- b

          # c

          b <- c
        }
        cite "x"
        """,
    )


def test_tree_without_places_has_blank_lines_between_unlike_items() -> None:
    block = ast.Block((ast.Assign("x", y),))
    items = (
        ast.Optimizer("A", None),
        ast.Cite("c"),
        ast.Hyper("a", x, None),
        ast.Hyper("b", x, None),
        ast.Stage("momentum", block),
        ast.Stage("scale", x),
        ast.Stage("decay", y),
        ast.Rule("f", (), None, block),
        ast.Rule("g", (), None, ast.Block(())),
    )
    text = format_tree(ast.File("doc", items))
    assert text == dedent('''
        """doc"""
        optimizer A
        cite "c"

        hyper a = x
        hyper b = x

        momentum {
          x <- y
        }

        scale         x
        decay         y

        rule f() {
          x <- y
        }

        rule g() {
        }
    ''').lstrip("\n")  # fmt: skip


def test_lists_arguments_parameters_and_entries_that_do_not_fit_stand_one_a_line() -> None:
    row = ", ".join(["1234567890"] * 8)
    laid_out(
        f"""
        rule f(first, {"second" * 20} = 2) {{
          update <- g(x, [y], [[1, 2], [{row}], [{row}]]) + h([1, 2])
        }}
        checkpoint "c" with first = 1, second = {"second" * 15}
        """,
        f"""
        rule f(
          first,
          {"second" * 20} = 2,
        ) {{
          update <- g(
            x,
            [y],
            [
              [1, 2],
              [{row}],
              [{row}],
            ],
          ) + h([1, 2])
        }}
        checkpoint "c" with
          first = 1,
          second = {"second" * 15}
        """,
    )


def test_only_the_brackets_that_do_not_fit_are_broken() -> None:
    long = "n" * 50
    laid_out(
        f"""
        let a = f(x) + g({long}, {long})
        let b = {long} + {long} + {long}
        const c = [{long}] cite "{long}"
        """,
        f"""
        let a = f(x) + g(
          {long},
          {long},
        )
        let b = {long} + {long} + {long}
        const c = [
          {long},
        ] cite "{long}"
        """,
    )


def test_branches_that_do_not_fit_stand_one_a_line() -> None:
    long = "n" * 50
    laid_out(
        f"""
        let a = if x then {long} else if y then f({long}, {long}) else {long}
        let b = 2 * (if x then {long} else {long}) + 1
        let c = [if x then {long} else {long}, d]
        hyper e = if x then {long} else {long} in [0, 1]
        let f = if x then 1 else 2  # fits
        """,
        f"""
        let a =
          if x then {long}
          else if y then f(
            {long},
            {long},
          )
          else {long}
        let b = 2*(
          if x then {long}
          else {long}
        ) + 1
        let c = [
          if x then {long}
          else {long},
          d,
        ]
        hyper e =
          if x then {long}
          else {long}  in [0, 1]
        let f = if x then 1 else 2  # fits
        """,
    )


def test_line_of_just_the_width_is_not_broken() -> None:
    line = "let a = f(x, y)"
    fits = line.replace("x", "x" * (WIDTH - len(line) + 1))
    assert formatted(fits) == fits + "\n"
    assert formatted(fits.replace("y", "yy")).count("\n") == 4


# Comments


def test_comments_stay_with_what_they_stood_beside() -> None:
    canonical(
        """
        # licence

        """
        + '"""doc"""  # of the docstring'
        + """
        # before the item
        optimizer A  # behind the item

        # alone

        rule f(a) {  # behind the brace
          # before the docstring
          """
        + '"""doc # { """  # behind it'
        + """
          # before the statement
          x <- a  # behind the statement
          for i in b {  # behind the brace of the loop
            # in an empty block
          }  # behind the loop
          # at the end
        }  # behind the rule
        # at the end of the file
    """
    )


def test_comments_keep_their_place_in_broken_brackets() -> None:
    canonical("""
        const table = [  # behind the bracket
          # before the row
          (3.4445, -4.7750, 2.0315),  # behind the row
          f(
            x,  # inside the row
          ),
          # at the end
        ] cite "x"  # behind the list
        rule f(
          a,  # the first
          b = 2,
          # no more
        ) {  # begin
          x <- y
        }
        otherwise     f() with  # behind the word
          lr = 1,  # the rate
          # before eps
          eps = 2  # behind the item
        otherwise {
        } with
          lr = 1,  # the rate
          eps = 2
    """)


def test_comments_in_the_middle_move_in_front() -> None:
    laid_out(
        """
        scale # one
          a + # two
          # three

          b # four
        momentum # five
        {
          x # six
          <- y # seven
        }
        """,
        """
        # one
        # two
        # three
        scale         a + b  # four
        # five
        momentum {
          # six
          x <- y  # seven
        }
        """,
    )


def test_comments_behind_the_brackets_follow_the_statement() -> None:
    laid_out(
        """
        scale [ # one
          a ] + # two
          # three
          b # four

        decay c
        """,
        """
        scale         [  # one
          a,
        ] + b  # two
        # three
        # four

        decay         c
        """,
    )


def test_comments_without_a_place_come_last() -> None:
    file = ast.File(None, (ast.Stage("scale", x), ast.Stage("decay", y)), (ast.Comment("# a"), ast.Comment("# b")))
    assert format_tree(file) == "scale         x\ndecay         y\n# a\n# b\n"


def test_items_of_another_source_draw_no_comments() -> None:
    source = Source("test.muon", "# a\nscale x # b\ndecay y # c\n")
    other = parse(Source("other.muon", "# d\n\n\nadapt  f( # e\n x)"))
    file = parse(source)
    mixed = replace(file, items=(file.items[0], other.items[0], file.items[1]))
    assert format_tree(mixed) == "# a\nscale         x  # b\nadapt         f(x)\ndecay         y  # c\n"


def test_a_conditional_whose_comments_go_elsewhere_is_broken_as_one_without() -> None:
    """The call keeps its comment, so that those behind it stand behind the statement, and leave too long a line."""
    long = "a_name_of_some_length_" * 2
    laid_out(
        f"""
        view head(f(
          x,  # in the call
          y
        )) where x + (if x  # in the conditional
          then {long} else {long})
        """,
        f"""
        view head(f(
          x,  # in the call
          y,
        )) where x + (
          if x then {long}
          else {long}
        )  # in the conditional
        """,
    )
