"""Random trees for property tests: every kind of node, without places, and names where they may stand."""

from __future__ import annotations

from hypothesis import strategies as st

from muondsl.parse import ast
from muondsl.parse.text_to_tree import KEYWORDS

RESERVED = {"if", "then", "else", "and", "or", "not", "for", "in"}
STATEMENT_WORDS = {"state", "let", "with", "extends"}
OPERATORS = ["+", "-", "*", "/", "@", "**", "<", "<=", ">", ">=", "==", "!=", "and", "or"]
DIRECTION_MARKS = "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"

plain_names = st.one_of(
    st.sampled_from(["x", "update", "rows", "cols", "lr", "a_1", "_", "Moonlight", "iffy", "notes", "scales"]),
    st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,9}", fullmatch=True),
).filter(lambda name: name not in {*RESERVED, *STATEMENT_WORDS, *KEYWORDS})
names = plain_names | st.sampled_from(KEYWORDS)
number_texts = st.from_regex(r"([0-9]{1,4}(\.[0-9]{0,4})?|\.[0-9]{1,4})([eE][+-]?[0-9])?", fullmatch=True)
characters = st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"], exclude_characters='"' + DIRECTION_MARKS)
strings = st.text(characters, max_size=12) | st.sampled_from(["", "# no comment", "{", "arXiv:2502.16982"])
docstrings = st.text(characters | st.sampled_from('"\n\t'), max_size=20).filter(
    lambda text: '"""' not in text and not text.endswith('"')
)
atoms = st.one_of(st.builds(ast.Name, names), st.builds(ast.Number, number_texts), st.builds(ast.Text, strings))


def tuples(elements: st.SearchStrategy, least: int = 0, most: int = 3) -> st.SearchStrategy:
    return st.lists(elements, min_size=least, max_size=most).map(tuple)


def larger(inner: st.SearchStrategy) -> st.SearchStrategy:
    """Expressions one level larger than `inner`."""
    arguments = st.builds(ast.Argument, st.none() | names, inner)
    return st.one_of(
        st.builds(ast.Binary, st.sampled_from(OPERATORS), inner, inner),
        st.builds(ast.Unary, st.sampled_from(["-", "not"]), inner),
        st.builds(ast.Transpose, inner),
        st.builds(ast.Index, inner, inner),
        st.builds(ast.Call, names, tuples(arguments)),
        st.builds(ast.Tuple, tuples(inner, least=2)),
        st.builds(ast.List, tuples(inner)),
        st.builds(ast.Conditional, inner, inner, inner),
    )


expressions = st.recursive(atoms, larger, max_leaves=12)
small_expressions = st.recursive(atoms, larger, max_leaves=4)
bound_names = tuples(names, least=1)

lets = st.builds(ast.Let, bound_names, expressions)
simple_statements = st.one_of(
    st.builds(ast.Let, bound_names, expressions, st.booleans()),
    st.builds(ast.State, names, st.none() | tuples(small_expressions, least=1), st.none() | names, small_expressions),
    st.builds(ast.Assign, plain_names | st.sampled_from(ast.STAGES), expressions),
    st.builds(
        ast.Apply,
        st.builds(ast.Call, plain_names, tuples(st.builds(ast.Argument, st.none() | names, small_expressions))),
        st.none() | plain_names,
    ),
)


def nested(inner: st.SearchStrategy) -> st.SearchStrategy:
    """Statements that hold a block of `inner` statements."""
    body = st.builds(ast.Block, tuples(inner))
    return st.builds(ast.For, bound_names, small_expressions, body) | st.builds(ast.Precision, names, body)


statements = st.recursive(simple_statements, nested, max_leaves=4)
blocks = st.builds(ast.Block, tuples(statements))
bodies = expressions | blocks
entries = st.builds(ast.Entry, names, small_expressions)
intervals = st.builds(ast.Interval, small_expressions, small_expressions, st.booleans(), st.booleans())
parameters = st.builds(ast.Parameter, names, st.none() | small_expressions)

view_steps = st.builds(ast.ViewStep, names, tuples(small_expressions))

items = st.one_of(
    lets,
    st.builds(ast.Optimizer, names, st.none() | names),
    st.builds(ast.Cite, strings),
    st.builds(ast.Use, strings),
    st.builds(ast.Hyper, names, small_expressions, st.none() | intervals),
    st.builds(ast.Const, names, expressions, st.none() | strings),
    st.builds(ast.Rule, names, tuples(parameters), st.none() | docstrings, blocks),
    st.builds(ast.Stage, st.sampled_from(ast.STAGES), bodies),
    st.builds(ast.Otherwise, bodies, tuples(entries)),
    st.builds(ast.Route, names, expressions),
    st.builds(ast.View, tuples(view_steps, least=1), expressions),
    st.builds(ast.Checkpoint, strings, tuples(entries, least=1)),
)
files = st.builds(ast.File, st.none() | docstrings, tuples(items, most=5))
