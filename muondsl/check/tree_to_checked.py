"""A source in, a checked spec out, or every error that was found. The only door of this package."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from muondsl.check import typed
from muondsl.check.declarations import UNKNOWN, check_checkpoint, check_hyper, check_overrides, hypers_of
from muondsl.check.expressions import Expressions
from muondsl.check.modules import RESERVED_NAMES, Modules, gather
from muondsl.check.report import Abandoned, Report, Stopped
from muondsl.check.routes import check_routes, check_views
from muondsl.check.rule_definitions import check_rules
from muondsl.check.scope import Binding, Scope
from muondsl.check.stages import Stages, is_none
from muondsl.check.values import Value, describe, is_condition, is_scalar, is_tensor
from muondsl.diagnostics import errors_names, errors_spec, errors_types
from muondsl.diagnostics.span import Source, Span
from muondsl.diagnostics.spec_error import SpecError
from muondsl.ir import scalar
from muondsl.ir.reserved import is_usable, is_usable_class
from muondsl.parse import ast

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def check(source: Source, directory: Path | None = None) -> typed.CheckedSpec:
    """The meaning of a spec; paths in it are taken from `directory`. Raises SpecError with all errors found."""
    report = Report()
    spec = None
    with suppress(Stopped):
        modules = gather(source, directory or Path(), report)
        if modules.is_complete:
            check_rules(modules.own, modules.library, report)
        header = _header(modules, report)
        if header is not None and modules.is_complete:
            spec = _Spec(modules, report).check(header)
    if report.found:
        raise SpecError(report.found)
    assert spec is not None
    assert not report.failures
    return spec


def check_file(source: Source, directory: Path | None = None) -> typed.CheckedSpec | None:
    """As `check`, but a file without an optimizer is checked as a file of rules, and yields None."""
    report = Report()
    modules = gather(source, directory or Path(), report)
    if any(isinstance(item, ast.Optimizer) for item in modules.chain[0].items):
        return check(source, directory)
    with suppress(Stopped):
        if modules.is_complete:
            check_rules(modules.own, modules.library, report)
        _Spec(modules, report).declare_constants()
    for item in modules.chain[0].items:
        if not isinstance(item, ast.Rule | ast.Const | ast.Use | ast.Cite):
            report.add(errors_names.NoOptimizer(_keyword(item.span)))
    if report.found:
        raise SpecError(report.found)
    return None


def _header(modules: Modules, report: Report) -> ast.Optimizer | None:
    file = modules.chain[0]
    headers = [item for item in file.items if isinstance(item, ast.Optimizer)]
    if not headers:
        report.add(errors_names.NoOptimizer(Span(file.span.source, 0, 0)))
        return None
    for extra in headers[1:]:
        report.add(errors_names.SeveralOptimizers(extra.span, headers[0].span))
    if not is_usable_class(headers[0].name):
        name = headers[0].name
        report.add(errors_names.PythonKeyword(headers[0].span.word(name), name))
    return headers[0]


def _keyword(span: Span) -> Span:
    """The word with which an item begins."""
    return Span(span.source, span.start, span.start + len(span.text.split()[0]))


Item = TypeVar("Item", ast.Route, ast.View)


@dataclass
class _Spec:
    modules: Modules
    report: Report
    scope: Scope = field(default_factory=Scope)

    def check(self, header: ast.Optimizer) -> typed.CheckedSpec:
        failures = self.report.failures
        self.declare_constants()
        hypers = [check_hyper(node, self.report) for node in hypers_of(self.modules, self.report)]
        self._declare_hypers(hypers, header)
        self._declare_lets()
        shared = self._rules_scope()
        stages = Stages(self.modules, self.report, self.scope, shared)
        matrix = stages.matrix() if self._has_matrices() else None
        failures_before = self.report.failures
        otherwise, overrides = stages.otherwise()
        if self.report.failures > failures_before:
            overrides = ()
        routes = check_routes(self._nearest(ast.Route), otherwise is not None, shared, self.report)
        views = check_views(self._nearest(ast.View), matrix is not None, shared, self.report)
        self._require_apart(hypers, matrix, otherwise)
        used = {"lr", *(name for update in (matrix, otherwise) if update for name in typed.hypers_read(update))}
        if self.report.failures == failures:
            self._require_read(used)
        own = self.modules.chain[0]
        return typed.CheckedSpec(
            header.name,
            own.docstring or "",
            tuple(item.source for item in own.items if isinstance(item, ast.Cite)),
            tuple(hyper for hyper in hypers if hyper.name in used or hyper.name == "lr"),
            self._cited(),
            matrix,
            otherwise,
            check_overrides(
                overrides, {"lr", *typed.hypers_read(otherwise)} if otherwise else set(), hypers, self.report
            ),
            routes,
            views,
            tuple(
                check_checkpoint(item, hypers, self.report) for item in own.items if isinstance(item, ast.Checkpoint)
            ),
            self._tables(),
            tuple(self.report.warnings),
            header.span,
        )

    def _nearest(self, kind: type[Item]) -> list[Item]:
        """The items of this kind in the first file of the chain that has any."""
        for file in self.modules.chain:
            if found := [item for item in file.items if isinstance(item, kind)]:
                return found
        return []

    def _has_matrices(self) -> bool:
        """A spec of `otherwise` alone, without stages and routes, steps every parameter by it."""
        items = [item for file in self.modules.chain for item in file.items]
        others = [item for item in items if isinstance(item, ast.Otherwise)]
        return not others or is_none(others[0].body) or any(isinstance(item, ast.Stage | ast.Route) for item in items)

    def declare_constants(self) -> None:
        constants = self.modules.library.constants
        for name, constant in constants.items():
            self.scope.bindings[name] = Binding("a constant", None, constant.span.word(name))
        for name in _in_order(constants, self.report):
            with suppress(Abandoned):
                self.scope.bindings[name].value = self._constant(constants[name])

    def _constant(self, constant: ast.Const) -> Value:
        value = Expressions(self.scope, self.report).value(constant.value)
        if is_tensor(value) or (is_scalar(value) and not scalar.is_constant(value)):
            purpose = f"the constant `{constant.name}`"
            self.report.abandon(errors_types.NotCompileTime(constant.value.span, purpose))
        return value

    def _cited(self) -> tuple[tuple[str, str], ...]:
        """Constants that the spec or a rule it uses reads, with their sources."""
        read = (each for name, each in self.modules.library.constants.items() if self.scope.bindings[name].is_read)
        return tuple((constant.name, constant.source) for constant in read if constant.source)

    def _tables(self) -> tuple[typed.Table, ...]:
        """Constants that the spec or a rule it uses reads, and that are tables."""
        found = []
        for name, constant in self.modules.library.constants.items():
            binding = self.scope.bindings[name]
            if binding.is_read and (rows := _rows(binding.value)):
                found.append(typed.Table(name, constant.source, rows))
        return tuple(found)

    def _declare_hypers(self, hypers: list[typed.Hyper], header: ast.Optimizer) -> None:
        for hyper in hypers:
            if hyper.name in RESERVED_NAMES or hyper.name == "scale":
                self.report.add(errors_names.ReservedName(hyper.span, hyper.name))
            elif not is_usable(hyper.name):
                self.report.add(errors_names.PythonKeyword(hyper.span, hyper.name))
            elif (first := self.scope.find(hyper.name)) is not None:
                self.report.add(errors_names.DuplicateName(hyper.span, hyper.name, first.span))
            if hyper.default == UNKNOWN:
                self.scope.bindings[hyper.name] = Binding("a hyper", None, hyper.span, is_read=True)
            elif isinstance(hyper.default, tuple):
                symbols = tuple(scalar.Symbol(hyper.name, "hyper", index) for index in range(len(hyper.default)))
                self.scope.bindings[hyper.name] = Binding("a hyper", symbols, hyper.span, is_read=True)
            else:
                symbol = scalar.Symbol(hyper.name, "hyper")
                self.scope.bindings[hyper.name] = Binding("a hyper", symbol, hyper.span, is_read=True)
        if all(hyper.name != "lr" for hyper in hypers):
            self.report.add(errors_spec.MissingLearningRate(header.span.word(header.name), header.name))
            self.scope.bindings["lr"] = Binding("a hyper", None, header.span, is_read=True)

    def _declare_lets(self) -> None:
        """Those of the spec and of its parents, each as the youngest file has it."""
        chosen: dict[str, ast.Let] = {}
        for file in reversed(self.modules.chain):
            here: dict[str, ast.Let] = {}
            for item in file.items:
                for name in item.names if isinstance(item, ast.Let) else ():
                    assert isinstance(item, ast.Let)
                    if first := here.get(name):
                        places = item.span.word(name), first.span.word(name)
                        self.report.add(errors_names.DuplicateName(places[0], name, places[1]))
                    here[name] = chosen[name] = item
        lets = {name: let for name, let in chosen.items() if self._may_declare(name, let.span.word(name))}
        for name, let in lets.items():
            self.scope.bindings[name] = Binding("a scalar", None, let.span.word(name))
        for name in _in_order(lets, self.report):
            with suppress(Abandoned):
                self.scope.bindings[name].value = scalar.Named(name, self._let(name, lets[name]))

    def _may_declare(self, name: str, place: Span) -> bool:
        if name in RESERVED_NAMES or name in ("lr", "scale"):
            self.report.add(errors_names.ReservedName(place, name))
            return False
        if first := self.scope.find(name):
            self.report.add(errors_names.DuplicateName(place, name, first.span))
            return False
        return True

    def _let(self, name: str, node: ast.Let) -> scalar.Scalar:
        expressions = Expressions(self.scope, self.report)
        if len(node.names) == 1:
            return expressions.number(node.value, f"`{name}`")
        items = expressions.items(node.value, "what is taken apart")
        if len(items) != len(node.names):
            self.report.abandon(errors_types.WrongTupleLength(node.value.span, len(node.names), len(items)))
        item = items[node.names.index(name)]
        if not is_scalar(item) or is_condition(item):
            self.report.abandon(errors_types.ExpectedScalar(node.value.span, describe(item), f"`{name}`"))
        return item

    def _rules_scope(self) -> Scope:
        """What every rule sees beside the tensors: constants and `lr`."""
        shared = {name: binding for name, binding in self.scope.bindings.items() if binding.kind == "a constant"}
        return Scope(bindings={**shared, "lr": self.scope.bindings["lr"]})

    def _require_apart(self, hypers: list[typed.Hyper], *updates: typed.Update | None) -> None:
        """A state and a hyper of one name would be one argument of the generated function."""
        spans = {hyper.name: hyper.span for hyper in hypers}
        for state in (state for update in updates if update for state in update.states):
            if state.variable.name in spans:
                name = state.variable.name
                self.report.add(errors_names.DuplicateName(state.span, name, spans[name]))

    def _require_read(self, used: set[str]) -> None:
        """A hyper or let that this file declares and nothing reads is a mistake; an inherited one just goes."""
        for item in self.modules.chain[0].items:
            if isinstance(item, ast.Hyper) and item.name not in used and item.name != "lr":
                self.report.add(errors_names.UnusedName(item.span.word(item.name), "hyper", item.name))
            if isinstance(item, ast.Let) and not self.scope.bindings[item.names[0]].is_read:
                self.report.add(errors_names.UnusedName(item.span.word(item.names[0]), "name", item.names[0]))


def _rows(value: Value | typed.Variable | None) -> tuple[tuple[scalar.Scalar, ...], ...]:
    """The rows of a list of lists of numbers; none of anything else."""
    if not isinstance(value, tuple):
        return ()
    rows = [tuple(part for part in row if is_scalar(part)) for row in value if isinstance(row, tuple)]
    is_table = len(rows) == len(value) and all(row and row == of for row, of in zip(rows, value, strict=True))
    return tuple(rows) if is_table else ()


def _in_order(definitions: Mapping[str, ast.Const] | Mapping[str, ast.Let], report: Report) -> list[str]:
    """The names, each behind those that its definition reads. Reports what is defined by itself."""
    done: dict[str, None] = {}
    active: list[str] = []
    pending: list[tuple[str, bool]] = [(name, False) for name in reversed(list(definitions))]
    while pending:
        name, is_complete = pending.pop()
        if is_complete:
            done[active.pop()] = None
        elif name in active:
            place = next(place for read, place in _names(definitions[active[-1]].value) if read == name)
            report.add(errors_names.CircularDefinition(place, (*active[active.index(name) :], name)))
        elif name not in done:
            active.append(name)
            pending.append((name, True))
            pending += [(read, False) for read, _ in _names(definitions[name].value) if read in definitions]
    return list(done)


def _names(node: ast.Expression) -> Iterator[tuple[str, Span]]:
    return ((part.identifier, part.span) for part in ast.walk(node) if isinstance(part, ast.Name))
