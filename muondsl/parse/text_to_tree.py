"""Text in, tree out. Reports every syntax error that it can tell apart; never looks at meaning."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from lark import Lark, Token, v_args
from lark.exceptions import UnexpectedCharacters, UnexpectedEOF, UnexpectedInput
from lark.visitors import Transformer_NonRecursive

from muondsl.diagnostics import errors_text as errors
from muondsl.diagnostics.diagnostic import Diagnostic
from muondsl.diagnostics.span import Source, Span
from muondsl.diagnostics.spec_error import SpecError
from muondsl.parse import ast

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lark.tree import Meta

MAXIMUM_BYTES = 1 << 16
MAXIMUM_DEPTH = 60
MAXIMUM_DIGITS = 64
MAXIMUM_ERRORS = 20

KEYWORDS = (
    *("optimizer", "cite", "use", "hyper", "const", "let", "rule"),
    *ast.STAGES,
    *("otherwise", "route", "view", "checkpoint"),
)

_ITEM_START = re.compile(rf"^(?:{'|'.join(KEYWORDS)})\b", re.MULTILINE)
_TRIVIA = re.compile(r'"""(?:[^"]|"(?!""))*"""|"[^"\n]*"|(?P<comment>#[^\n]*)')
# Line ends and tabs apart: C0, DEL, C1, line and paragraph separators, and the marks that reorder shown text.
_FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def read(path: Path, name: str | None = None) -> Source:
    """The file at `path` as a source called `name`. Raises SpecError when it cannot be read or is not UTF-8."""
    shown = name or path.as_posix()
    nowhere = Span(Source(shown, ""), 0, 0)
    try:
        size = path.stat().st_size
        if size > MAXIMUM_BYTES:
            raise SpecError([errors.FileTooLarge(nowhere, size, MAXIMUM_BYTES)])
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SpecError([errors.NotUtf8(nowhere, error.start)]) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SpecError([errors.UnreadableFile(nowhere, reason)]) from None
    return Source(shown, text, _stable_name(path))


def _stable_name(path: Path) -> str:
    """The path from the root of its project, or the file's name where there is none."""
    resolved = path.resolve()
    for folder in resolved.parents:
        if (folder / "pyproject.toml").is_file() or (folder / ".git").exists():
            return resolved.relative_to(folder).as_posix()
    return resolved.name


def parse(source: Source) -> ast.File:
    """The tree of `source`. Raises SpecError with all syntax errors that could be told apart."""
    source = replace(source, text=source.text.replace("\r\n", "\n"))
    if forbidden := _FORBIDDEN.search(source.text):
        place = Span(source, forbidden.start(), forbidden.end())
        raise SpecError([errors.ControlCharacter(place, forbidden.group())])
    tree, found = _parse_recovering(source)
    if found:
        raise SpecError(found)
    file: ast.File = _ToTree(source).transform(tree)
    if problems := list(_limits(file)):
        raise SpecError(problems)
    return file


@cache
def _parser() -> Lark:
    grammar = files("muondsl.parse").joinpath("grammar.lark").read_text("utf-8")
    return Lark(grammar, parser="lalr", propagate_positions=True, maybe_placeholders=True)


def _parse_recovering(source: Source) -> tuple[Any, list[Diagnostic]]:
    """Parses; after an error, blanks the item that holds it and parses again, to find the errors of other items."""
    found: list[Diagnostic] = []
    text = source.text
    while True:
        try:
            return _parser().parse(text), found
        except UnexpectedInput as error:
            diagnostic = _syntax_error(error, source)
            found.append(diagnostic)
            rest = _without_item(text, diagnostic.span.start)
        if rest == text or len(found) == MAXIMUM_ERRORS or isinstance(diagnostic, errors.UnterminatedString):
            return None, found
        text = rest


def _without_item(text: str, offset: int) -> str:
    """`text` with the item around `offset` blanked, or the item before it where `offset` begins one."""
    starts = [match.start() for match in _ITEM_START.finditer(text)]
    begin = max((start for start in starts if start < offset), default=0)
    if not text[begin:offset].strip():
        begin = offset
    end = min((start for start in starts if start > begin and start >= offset), default=len(text))
    if end <= begin:
        end = min((start for start in starts if start > begin), default=len(text))
    return text[:begin] + re.sub(r"[^\n]", " ", text[begin:end]) + text[end:]


def _syntax_error(error: UnexpectedInput, source: Source) -> Diagnostic:
    if docstring := _unclosed_docstring(error, source):
        return errors.UnterminatedString(docstring, '"""')
    if isinstance(error, UnexpectedCharacters):
        offset = _offset(error)
        if source.text.startswith('"', offset):
            quote = '"""' if source.text.startswith('"""', offset) else '"'
            return errors.UnterminatedString(Span(source, offset, offset + len(quote)), quote)
        word = re.compile(r"[A-Za-z_]\w*|\d[\w.]*|<-|[<>=!]=|\*\*").match(source.text, offset)
        found = word.group() if word else source.text[offset]
        span = Span(source, offset, offset + len(found))
        if word or found in "(){}[],:='@*/+-<>":
            return _unexpected(span, found, set(getattr(error, "allowed", None) or ()))
        return errors.UnexpectedCharacter(span, found)
    accepted = set(getattr(error, "accepts", None) or getattr(error, "expected", None) or ())
    token = getattr(error, "token", None)
    if isinstance(error, UnexpectedEOF) or token is None or token.type == "$END":
        end = len(source.text.rstrip())
        return errors.UnexpectedEnd(Span(source, max(0, end - 1), end), _words(accepted))
    return _unexpected(Span(source, token.start_pos, token.end_pos), str(token), accepted)


def _offset(error: UnexpectedInput) -> int:
    return getattr(error, "pos_in_stream", None) or 0


def _unclosed_docstring(error: UnexpectedInput, source: Source) -> Span | None:
    """The quotes of a docstring of which the lexer has read the first two as an empty string."""
    begin = _offset(error) - 2
    if begin < 0 or not source.text.startswith('"""', begin) or '"""' in source.text[begin + 3 :]:
        return None
    return Span(source, begin, begin + 3)


def _unexpected(span: Span, found: str, accepted: set[str]) -> Diagnostic:
    at_line_start = span.source.position(span.start)[1] == 1
    if at_line_start and "_ROUTE" in accepted and re.fullmatch(r"[A-Za-z_]\w*", found) and found not in KEYWORDS:
        return errors.UnknownItem(span, found, KEYWORDS)
    return errors.UnexpectedToken(span, found, _words(accepted))


_EXPRESSION = {"NUMBER", "LPAR", "NOT", "_IF", "MINUS", "NAME"}
_OPERATORS = {"STAR", "SLASH", "AT", "POWER", "COMPARISON", "AND", "OR", "PLUS", "QUOTE"}
_ITEMS = {
    "STAGE",
    "_OPTIMIZER",
    "_CITE",
    "_USE",
    "_HYPER",
    "_CONST",
    "_RULE",
    "_OTHERWISE",
    "_ROUTE",
    "_VIEW",
    "_CHECKPOINT",
}
_STATEMENTS = {"_STATE", "_LET", "_EXPORT", "_FOR"}
_SPELLINGS = {
    "NAME": "a name",
    "NUMBER": "a number",
    "STRING": "a string",
    "DOCSTRING": "a docstring",
    "STAGE": "a stage",
    "LPAR": "`(`",
    "RPAR": "`)`",
    "LSQB": "`[`",
    "RSQB": "`]`",
    "LBRACE": "`{`",
    "RBRACE": "`}`",
    "EQUAL": "`=`",
    "COLON": "`:`",
    "_COMMA": "`,`",
    "_SOURCE": "`cite`",
    "COMMA": "`,`",
    "__ANON_0": "`<-`",
    "MINUS": "`-`",
}


def _words(accepted: set[str]) -> tuple[str, ...]:
    """The accepted terminals in words a reader knows, few of them."""
    words: list[str] = []
    if accepted >= _EXPRESSION:
        words.append("an expression")
        accepted = accepted - _EXPRESSION - {"STRING", "LSQB"}
    if accepted & _OPERATORS:
        words.append("an operator")
        accepted = accepted - _OPERATORS - {"MINUS", "LSQB", "LPAR"}
    if accepted >= _ITEMS:
        words.append("a stage or declaration")
        accepted = accepted - _ITEMS - _STATEMENTS - {"$END"}
    if accepted >= _STATEMENTS:
        words.append("a statement")
        accepted = accepted - _STATEMENTS - {"NAME", "STAGE", "_IN"}
    accepted = accepted - {"$END"}
    rest = {_SPELLINGS.get(name, f"`{name.strip('_').lower()}`") for name in accepted}
    return tuple(words + sorted(rest)) or ("the end of the file",)


def _limits(file: ast.File) -> Iterator[Diagnostic]:
    """Walks the tree without recursion, so that no later stage meets a tree that is too deep for it."""
    pending: list[tuple[ast.Node, int]] = [(file, 0)]
    while pending:
        node, depth = pending.pop()
        if depth > MAXIMUM_DEPTH:
            yield errors.NestedTooDeeply(node.span, MAXIMUM_DEPTH)
            return
        if isinstance(node, ast.Number) and not _is_in_range(node.text):
            yield errors.NumberOutOfRange(node.span, node.text)
        for child in ast.children(node):
            pending.append((child, depth + 1))


def _is_in_range(text: str) -> bool:
    value = float(text)
    is_zero = not re.search(r"[1-9]", re.split("[eE]", text)[0])
    return len(text) <= MAXIMUM_DIGITS and value != float("inf") and (value != 0) == (not is_zero)


@v_args(meta=True)
class _ToTree(Transformer_NonRecursive[Token, Any]):
    """Lark's tree to ours: one method a grammar rule, each taking the place and the children."""

    def __init__(self, source: Source) -> None:
        super().__init__(visit_tokens=False)
        self.source = source

    def span(self, meta: Meta) -> Span:
        if meta.empty:
            return Span(self.source, 0, 0)
        return Span(self.source, meta.start_pos, meta.end_pos)

    def at(self, token: Token) -> Span:
        return Span(self.source, token.start_pos or 0, token.end_pos or 0)

    def start(self, meta: Meta, children: list[Any]) -> ast.File:
        docstring, *items = children
        comments = tuple(
            ast.Comment(match.group(), span=Span(self.source, match.start(), match.end()))
            for match in _TRIVIA.finditer(self.source.text)
            if match.group("comment")
        )
        return ast.File(docstring, tuple(items), comments, span=Span(self.source, 0, len(self.source.text)))

    def docstring(self, meta: Meta, children: list[Token]) -> str:
        text = str(children[0])
        return text[3:-3] if text.startswith('"""') else text[1:-1]

    def optimizer(self, meta: Meta, children: list[Any]) -> ast.Optimizer:
        name, parent = children
        return ast.Optimizer(str(name), str(parent) if parent else None, span=self.span(meta))

    def cite(self, meta: Meta, children: list[Token]) -> ast.Cite:
        return ast.Cite(_unquoted(children[0]), span=self.span(meta))

    def use(self, meta: Meta, children: list[Token]) -> ast.Use:
        return ast.Use(_unquoted(children[0]), span=self.span(meta))

    def hyper(self, meta: Meta, children: list[Any]) -> ast.Hyper:
        name, default, interval = children
        return ast.Hyper(str(name), default, interval, span=self.span(meta))

    def interval(self, meta: Meta, children: list[Any]) -> ast.Interval:
        opening, lower, upper, closing = children
        return ast.Interval(lower, upper, opening == "[", closing == "]", span=self.span(meta))

    def const(self, meta: Meta, children: list[Any]) -> ast.Const:
        name, value, source = children
        return ast.Const(str(name), value, _unquoted(source) if source else None, span=self.span(meta))

    def rule(self, meta: Meta, children: list[Any]) -> ast.Rule:
        name, *rest = children
        parameters = tuple(child for child in rest if isinstance(child, ast.Parameter))
        docstring = next((child for child in rest if isinstance(child, str)), None)
        statements = tuple(child for child in rest if isinstance(child, ast.Statement))
        body = ast.Block(statements, span=self.span(meta))
        return ast.Rule(str(name), parameters, docstring, body, span=self.span(meta))

    def parameter(self, meta: Meta, children: list[Any]) -> ast.Parameter:
        return ast.Parameter(str(children[0]), children[1], span=self.span(meta))

    def stage(self, meta: Meta, children: list[Any]) -> ast.Stage:
        return ast.Stage(str(children[0]), children[1], span=self.span(meta))

    def otherwise(self, meta: Meta, children: list[Any]) -> ast.Otherwise:
        body, *entries = children
        return ast.Otherwise(body, tuple(entry for entry in entries if entry), span=self.span(meta))

    def route(self, meta: Meta, children: list[Any]) -> ast.Route:
        return ast.Route(str(children[0]), children[1], span=self.span(meta))

    def view(self, meta: Meta, children: list[Any]) -> ast.View:
        *steps, predicate = children
        return ast.View(tuple(steps), predicate, span=self.span(meta))

    def step(self, meta: Meta, children: list[Any]) -> ast.ViewStep:
        name, *arguments = children
        return ast.ViewStep(str(name), tuple(each for each in arguments if each), span=self.span(meta))

    def checkpoint(self, meta: Meta, children: list[Any]) -> ast.Checkpoint:
        system, *entries = children
        return ast.Checkpoint(_unquoted(system), tuple(entries), span=self.span(meta))

    def entry(self, meta: Meta, children: list[Any]) -> ast.Entry:
        return ast.Entry(str(children[0]), children[1], span=self.span(meta))

    def block(self, meta: Meta, children: list[Any]) -> ast.Block:
        return ast.Block(tuple(children), span=self.span(meta))

    def state(self, meta: Meta, children: list[Any]) -> ast.State:
        name, *shape, dtype, initial = children
        dims = tuple(dim for dim in shape if dim is not None) or None
        return ast.State(str(name), dims, str(dtype) if dtype else None, initial, span=self.span(meta))

    def let(self, meta: Meta, children: list[Any]) -> ast.Let:
        return ast.Let(children[0], children[1], span=self.span(meta))

    def export(self, meta: Meta, children: list[Any]) -> ast.Let:
        return ast.Let(children[0], children[1], True, span=self.span(meta))

    def assign(self, meta: Meta, children: list[Any]) -> ast.Assign:
        return ast.Assign(str(children[0]), children[1], span=self.span(meta))

    def for_loop(self, meta: Meta, children: list[Any]) -> ast.For:
        return ast.For(children[0], children[1], children[2], span=self.span(meta))

    def precision(self, meta: Meta, children: list[Any]) -> ast.Precision:
        return ast.Precision(str(children[0]), children[1], span=self.span(meta))

    def apply(self, meta: Meta, children: list[Any]) -> ast.Apply:
        call, target = children
        return ast.Apply(call, str(target) if target else None, span=self.span(meta))

    def names(self, meta: Meta, children: list[Token]) -> tuple[str, ...]:
        return tuple(str(child) for child in children)

    def conditional(self, meta: Meta, children: list[Any]) -> ast.Conditional:
        return ast.Conditional(*children, span=self.span(meta))

    def binary(self, meta: Meta, children: list[Any]) -> ast.Binary:
        left, operator, right = children
        return ast.Binary(str(operator), left, right, span=self.span(meta))

    def unary(self, meta: Meta, children: list[Any]) -> ast.Unary:
        return ast.Unary(str(children[0]), children[1], span=self.span(meta))

    def transpose(self, meta: Meta, children: list[Any]) -> ast.Transpose:
        return ast.Transpose(children[0], span=self.span(meta))

    def index(self, meta: Meta, children: list[Any]) -> ast.Index:
        return ast.Index(children[0], children[1], span=self.span(meta))

    def number(self, meta: Meta, children: list[Token]) -> ast.Number:
        return ast.Number(str(children[0]), span=self.span(meta))

    def name(self, meta: Meta, children: list[Token]) -> ast.Name:
        return ast.Name(str(children[0]), span=self.span(meta))

    def text(self, meta: Meta, children: list[Token]) -> ast.Text:
        return ast.Text(_unquoted(children[0]), span=self.span(meta))

    def call(self, meta: Meta, children: list[Any]) -> ast.Call:
        name, *arguments = children
        given = tuple(argument for argument in arguments if argument is not None)
        return ast.Call(str(name), given, span=self.span(meta))

    def argument(self, meta: Meta, children: list[Any]) -> ast.Argument:
        name, value = children
        return ast.Argument(str(name) if name else None, value, span=self.span(meta))

    def tuple(self, meta: Meta, children: list[Any]) -> ast.Tuple:
        return ast.Tuple(tuple(_nodes(children)), span=self.span(meta))

    def list(self, meta: Meta, children: list[Any]) -> ast.List:
        return ast.List(tuple(_nodes(children)), span=self.span(meta))


def _nodes(children: list[Any]) -> Iterator[Any]:
    return (child for child in children if isinstance(child, ast.Node))


def _unquoted(token: Token) -> str:
    return str(token)[1:-1]
