"""An expression in, the pieces of a line out: text, and brackets that may be broken over several lines.

Parentheses stand only where the grammar needs them, and around a conditional inside the condition or the
first branch of another. Decides no line break and never sees a comment.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from muondsl.diagnostics.span import NOWHERE
from muondsl.parse import ast

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from muondsl.diagnostics.span import Span


@dataclass(frozen=True, slots=True)
class Element:
    """One thing between brackets, with its place in the source."""

    span: Span
    line: Line


@dataclass(frozen=True, slots=True)
class Brackets:
    """Arguments, items, parameters, entries or the branches of a conditional, at least one: all on one line, or each on
    its own.

    `span` ends with the closing bracket. There is none after entries, which `with` opens, and around branches only
    where the grammar needs parentheses, which lie outside of `span`.
    """

    opening: str
    elements: tuple[Element, ...]
    closing: str
    span: Span
    is_conditional: bool = False

    @property
    def separator(self) -> str:
        return "" if self.is_conditional else ","


Line = tuple[str | Brackets, ...]

# How tightly the grammar binds: a level for each of its rules, from `conditional` to `atom`.
_CONDITIONAL, _OR, _AND, _NOT, _COMPARISON, _SUM, _PRODUCT, _SIGNED, _POWER, _POSTFIX, _ATOM = range(11)
_BINARY = {
    "or": (_OR, _OR, _AND),
    "and": (_AND, _AND, _NOT),
    **dict.fromkeys(("<", "<=", ">", ">=", "==", "!="), (_COMPARISON, _SUM, _SUM)),
    **dict.fromkeys(("+", "-"), (_SUM, _SUM, _PRODUCT)),
    **dict.fromkeys(("*", "/", "@"), (_PRODUCT, _PRODUCT, _SIGNED)),
    "**": (_POWER, _POSTFIX, _SIGNED),
}
"""Of each operator its level, and the lowest levels that may stand on its left and on its right."""


def expression_to_line(node: ast.Expression) -> Line:
    return _at_least(_CONDITIONAL, node)


def flat(line: Line) -> str:
    """The pieces as one line."""
    return "".join(piece if isinstance(piece, str) else _flat_brackets(piece) for piece in line)


def _flat_brackets(brackets: Brackets) -> str:
    elements = f"{brackets.separator} ".join(flat(element.line) for element in brackets.elements)
    return brackets.opening + elements + brackets.closing


def brackets_of(line: Line) -> Iterator[Brackets]:
    """All brackets of the line, those inside others too, that can hold comments: conditionals do not."""
    for piece in line:
        if isinstance(piece, Brackets):
            if not piece.is_conditional:
                yield piece
            for element in piece.elements:
                yield from brackets_of(element.line)


def without_place(brackets: Brackets) -> Brackets:
    """The same as if it were in no source, with all that it holds."""
    elements = tuple(
        Element(NOWHERE, tuple(each if isinstance(each, str) else without_place(each) for each in element.line))
        for element in brackets.elements
    )
    return replace(brackets, elements=elements, span=NOWHERE)


def bracketed(opening: str, elements: Iterable[Element], closing: str, span: Span) -> Line:
    """Brackets around the elements; plain text where there are none."""
    found = tuple(elements)
    return (Brackets(opening, found, closing, span),) if found else (opening + closing,)


def joined(lines: Iterable[Line]) -> Line:
    """The lines as one, with commas between them."""
    pieces: list[str | Brackets] = []
    for line in lines:
        pieces += [", ", *line] if pieces else line
    return tuple(pieces)


def _at_least(level: int, node: ast.Expression, *, in_sum: bool = False) -> Line:
    """The node, in parentheses if it binds less tightly than `level`."""
    if _level(node) >= level:
        return _binary(node, in_sum) if isinstance(node, ast.Binary) else _line(node)
    if isinstance(node, ast.Conditional):
        return (_conditional(node, "(", ")"),)
    return ("(", *_line(node), ")")


def _level(node: ast.Expression) -> int:
    match node:
        case ast.Conditional():
            return _CONDITIONAL
        case ast.Binary():
            return _BINARY[node.operator][0]
        case ast.Unary():
            return _NOT if node.operator == "not" else _SIGNED
        case ast.Transpose() | ast.Index():
            return _POSTFIX
        case _:
            return _ATOM


def _line(node: ast.Expression) -> Line:
    match node:
        case ast.Binary():
            return _binary(node, in_sum=False)
        case ast.Unary(operator="not"):
            return ("not ", *_at_least(_NOT, node.operand))
        case ast.Unary():
            return ("-", *_at_least(_SIGNED, node.operand))
        case ast.Transpose():
            return (*_at_least(_POSTFIX, node.operand), "'")
        case ast.Index():
            return (*_at_least(_POSTFIX, node.value), "[", *expression_to_line(node.index), "]")
        case ast.Conditional():
            return (_conditional(node, "", ""),)
        case _:
            return _atom(node)


def _conditional(node: ast.Conditional, opening: str, closing: str) -> Brackets:
    return Brackets(opening, tuple(_branches(node, "if ")), closing, node.span, is_conditional=True)


def _branches(node: ast.Conditional, opening: str) -> Iterator[Element]:
    """`if c then x`, `else if d then y` and so on, `else z`."""
    condition, then = _at_least(_OR, node.condition), _at_least(_OR, node.then)
    yield Element(node.condition.span.to(node.then.span), (opening, *condition, " then ", *then))
    if isinstance(node.otherwise, ast.Conditional):
        yield from _branches(node.otherwise, "else if ")
    else:
        yield Element(node.otherwise.span, ("else ", *expression_to_line(node.otherwise)))


def _atom(node: ast.Number | ast.Name | ast.Text | ast.Call | ast.Tuple | ast.List) -> Line:
    match node:
        case ast.Number():
            return (node.text,)
        case ast.Name():
            return (node.identifier,)
        case ast.Text():
            return (f'"{node.value}"',)
        case ast.Call():
            arguments = (Element(argument.span, _argument(argument)) for argument in node.arguments)
            return (node.function, *bracketed("(", arguments, ")", node.span))
        case ast.Tuple():
            return ("(", *joined(expression_to_line(item) for item in node.items), ")")
        case ast.List():
            items = (Element(item.span, expression_to_line(item)) for item in node.items)
            return bracketed("[", items, "]", node.span)


def _argument(node: ast.Argument) -> Line:
    value = expression_to_line(node.value)
    return value if node.name is None else (f"{node.name} = ", *value)


def _binary(node: ast.Binary, in_sum: bool) -> Line:
    """`*` stands close in a term of a sum that has no `/` or `@`, and `**` everywhere: `a*x**2 + b / c`."""
    level, left, right = _BINARY[node.operator]
    close = in_sum and _has_only_stars(node)
    sign = node.operator if close or level == _POWER else f" {node.operator} "
    left_line = _at_least(left, node.left, in_sum=close or level == _SUM)
    return (*left_line, sign, *_at_least(right, node.right, in_sum=level == _SUM))


def _has_only_stars(node: ast.Binary) -> bool:
    """Whether the node is a product whose factors are all joined by `*`."""
    if node.operator != "*":
        return False
    left = node.left
    return not isinstance(left, ast.Binary) or _level(left) != _PRODUCT or _has_only_stars(left)
