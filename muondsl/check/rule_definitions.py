"""Rules as they stand, before anybody uses them: names, parameters, recursion."""

from __future__ import annotations

from typing import TYPE_CHECKING

from muondsl.check import functions
from muondsl.check.modules import RESERVED_NAMES, Library
from muondsl.check.scope import AMBIENT_TENSORS, BUILT_IN
from muondsl.diagnostics import errors_names
from muondsl.diagnostics.diagnostic import closest
from muondsl.parse import ast

if TYPE_CHECKING:
    from collections.abc import Iterator

    from muondsl.check.report import Report

AXES = {"rows", "cols", "short", "long", "first", "last"}
EVERYWHERE = {*AMBIENT_TENSORS, *BUILT_IN, *AXES, "lr", "scale", "zeros", "ones"}
"""Names that every rule can read."""


def check_rules(rules: tuple[ast.Rule, ...], library: Library, report: Report) -> None:
    """Reports what is wrong in each rule whatever its arguments are."""
    for rule in rules:
        _check_parameters(rule, report)
        failures = report.failures
        declared = {parameter.name for parameter in rule.parameters} | set(_declared(rule.body))
        reach = declared | EVERYWHERE | set(library.constants)
        read: set[str] = set()
        applied = {id(node.call) for node in ast.walk(rule.body) if isinstance(node, ast.Apply)}
        for node in ast.walk(rule.body):
            if isinstance(node, ast.Name):
                read.add(node.identifier)
                if node.identifier not in reach:
                    near = closest(node.identifier, reach)
                    report.add(errors_names.UnknownName(node.span, node.identifier, near))
            elif isinstance(node, ast.Precision | ast.State) and node.dtype:
                read.add(node.dtype)
            elif isinstance(node, ast.Apply) and node.target and node.target not in reach:
                place = node.span.last(len(node.target))
                report.add(errors_names.UnknownName(place, node.target, closest(node.target, reach)))
            elif isinstance(node, ast.Let) and node.is_exported:
                report.add(errors_names.BadExport(node.span.word(node.names[0]), node.names[0], "a rule"))
            elif isinstance(node, ast.Call):
                _check_call(node, library, report, is_rule=id(node) in applied)
        for parameter in rule.parameters:
            if parameter.name not in read and report.failures == failures:
                place = parameter.span.word(parameter.name)
                report.add(errors_names.UnusedName(place, "parameter", parameter.name))


def _check_parameters(rule: ast.Rule, report: Report) -> None:
    seen: dict[str, ast.Parameter] = {}
    for parameter in rule.parameters:
        place = parameter.span.word(parameter.name)
        if parameter.name in RESERVED_NAMES or parameter.name in ("lr", "scale"):
            report.add(errors_names.ReservedName(place, parameter.name))
        if first := seen.get(parameter.name):
            report.add(errors_names.DuplicateName(place, parameter.name, first.span.word(first.name)))
        seen.setdefault(parameter.name, parameter)


def _check_call(node: ast.Call, library: Library, report: Report, *, is_rule: bool) -> None:
    """A statement uses a rule, an expression calls a function."""
    name, place = node.function, node.span.word(node.function)
    if is_rule and name not in library.rules:
        report.add(errors_names.UnknownRule(place, name, closest(name, library.rules)))
    if not is_rule and name not in functions.USAGE:
        report.add(errors_names.UnknownFunction(place, name, closest(name, functions.USAGE), name in library.rules))


def _declared(block: ast.Block) -> Iterator[str]:
    for node in ast.walk(block):
        if isinstance(node, ast.State):
            yield node.name
        elif isinstance(node, ast.Let | ast.For):
            yield from node.names
