"""Routes and views: which parameters are matrices of the spec, and which matrices are seen in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from muondsl.check import typed
from muondsl.check.expressions import Expressions
from muondsl.check.report import Abandoned, Report
from muondsl.check.scope import Binding, Scope
from muondsl.check.values import Text, is_condition, is_scalar
from muondsl.diagnostics import errors_routes
from muondsl.diagnostics.span import Span
from muondsl.ir import scalar
from muondsl.parse import ast
from muondsl.runtime.vocabulary import ROLES, VIEW_STEPS, wrong_numbers

if TYPE_CHECKING:
    from collections.abc import Iterator

TARGETS = ("matrix", "otherwise")


def check_routes(
    nodes: list[ast.Route], has_otherwise: bool, constants: Scope, report: Report
) -> tuple[typed.Route, ...]:
    """The routes in the order `matrix`, `otherwise`; empty where the spec leaves routing to its user."""
    first: dict[str, ast.Route] = {}
    routes: dict[str, typed.Route] = {}
    for node in nodes:
        if node.target not in TARGETS:
            report.add(errors_routes.UnknownRoute(_target(node), node.target))
            continue
        if node.target in first:
            report.add(errors_routes.DuplicateRoute(_target(node), node.target, _target(first[node.target])))
            continue
        first[node.target] = node
        if node.target == "otherwise" and not has_otherwise:
            report.add(errors_routes.RouteWithoutOtherwise(_target(node)))
        try:
            routes[node.target] = typed.Route(node.target, _condition(node.predicate, constants, report))
        except Abandoned:
            continue
    if all(node.target in TARGETS for node in nodes):
        _require_complete(first, has_otherwise, report)
    return tuple(routes[target] for target in TARGETS if target in routes)


def _require_complete(first: dict[str, ast.Route], has_otherwise: bool, report: Report) -> None:
    if not first:
        return
    for target in TARGETS if has_otherwise else TARGETS[:1]:
        if target not in first:
            report.add(errors_routes.IncompleteRoutes(_target(next(iter(first.values()))), target))
    rests = [node for node in first.values() if _is_rest(node.predicate)]
    if len(rests) > 1 or (rests and len(first) < 2):
        report.add(errors_routes.BadPredicate(rests[-1].predicate.span))


def _target(node: ast.Route) -> Span:
    """The word after `route`."""
    return Span(node.span.source, node.span.start + len("route"), node.span.end).word(node.target)


def _is_rest(node: ast.Expression) -> bool:
    return isinstance(node, ast.Name) and node.identifier == "rest"


def _condition(node: ast.Expression, constants: Scope, report: Report) -> scalar.Scalar | None:
    if _is_rest(node):
        return None
    return _predicate(node, constants, report)


def _predicate(node: ast.Expression, constants: Scope, report: Report) -> scalar.Scalar:
    """A condition. What is inside `and`, `or` and `not` is one as well."""
    match node:
        case ast.Call("named", arguments) if not any(argument.name for argument in arguments):
            values = (argument.value for argument in arguments)
            patterns = tuple(pattern for value in values for pattern in _patterns(value, constants, report))
            if not patterns:
                report.abandon(errors_routes.BadPredicate(node.span))
            return scalar.NameMatches(patterns)
        case ast.Call("role", arguments):
            return scalar.HasRole(tuple(_role(argument, report) for argument in arguments))
        case ast.Unary("not", operand):
            return scalar.Call("not", (_predicate(operand, constants, report),))
        case ast.Binary("and" | "or" as operator, left, right):
            parts = (_predicate(left, constants, report), _predicate(right, constants, report))
            return scalar.Call(operator, parts)
    scope = Scope(constants)
    scope.bindings["ndim"] = Binding("a dimension", scalar.Symbol("ndim", "shape"), node.span)
    value = Expressions(scope, report).value(node)
    if not is_condition(value) or not is_scalar(value) or any(part.kind != "shape" for part in scalar.symbols(value)):
        report.abandon(errors_routes.BadPredicate(node.span))
    return value


def _role(argument: ast.Argument, report: Report) -> str:
    match argument:
        case ast.Argument(None, ast.Name(role)) if role in ROLES:
            return role
    report.abandon(errors_routes.UnknownRole(argument.span, argument.span.text, ROLES))


def check_views(nodes: list[ast.View], has_matrices: bool, constants: Scope, report: Report) -> tuple[typed.View, ...]:
    views: dict[str, typed.View] = {}
    for node in nodes:
        if not has_matrices:
            report.add(errors_routes.ViewWithoutMatrices(node.span))
            continue
        try:
            steps = ", ".join([_step(step, constants, report) for step in node.steps])
            condition = _predicate(node.predicate, constants, report)
        except Abandoned:
            continue
        if steps in views:
            report.add(errors_routes.DuplicateView(node.span, steps))
        views[steps] = typed.View(steps, condition)
    return tuple(views.values())


def _step(node: ast.ViewStep, constants: Scope, report: Report) -> str:
    if node.name not in VIEW_STEPS:
        report.abandon(errors_routes.UnknownView(node.span.word(node.name), node.name, VIEW_STEPS))
    values = [Expressions(constants, report).count(each, f"a number of `{node.name}`") for each in node.arguments]
    if problem := wrong_numbers(node.name, values):
        report.abandon(errors_routes.BadView(node.span, problem))
    return f"{node.name}({', '.join(map(str, values))})" if values else node.name


def _patterns(node: ast.Expression, constants: Scope, report: Report) -> Iterator[str]:
    """Globs given one by one or as a list, which may be a constant."""
    value = Expressions(constants, report).value(node)
    for item in value if isinstance(value, tuple) else (value,):
        if not isinstance(item, Text):
            report.abandon(errors_routes.BadPredicate(node.span))
        yield item.value
