"""A source in, a checked spec out, or every error that was found. The only door of this package."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from muondsl.check import typed
from muondsl.check.declarations import check_checkpoint, check_hyper, check_overrides, hypers_of
from muondsl.check.expressions import Expressions
from muondsl.check.modules import RESERVED_NAMES, Modules, gather
from muondsl.check.report import Abandoned, Report
from muondsl.check.routes import check_routes
from muondsl.check.rule_definitions import check_rules
from muondsl.check.scope import Binding, Scope
from muondsl.check.stages import Stages
from muondsl.check.values import is_scalar, is_tensor
from muondsl.diagnostics import errors_names, errors_spec, errors_types
from muondsl.diagnostics.diagnostic import SpecError
from muondsl.diagnostics.span import Source, Span
from muondsl.ir import scalar
from muondsl.ir.reserved import is_usable, is_usable_class
from muondsl.parse import ast

if TYPE_CHECKING:
    from collections.abc import Iterator


def check(source: Source, directory: Path | None = None) -> typed.CheckedSpec:
    """The meaning of a spec; paths in it are taken from `directory`. Raises SpecError with all errors found."""
    report = Report()
    modules = gather(source, directory or Path(), report)
    check_rules(modules.own, modules.library, report)
    header = _header(modules, report)
    spec = None
    if header is not None:
        spec = _Spec(modules, report).check(header)
    if report.found:
        raise SpecError(report.found)
    assert spec is not None
    return spec


def check_file(source: Source, directory: Path | None = None) -> typed.CheckedSpec | None:
    """As `check`, but a file without an optimizer is checked as a file of rules, and yields None."""
    report = Report()
    modules = gather(source, directory or Path(), report)
    if any(isinstance(item, ast.Optimizer) for item in modules.chain[0].items):
        return check(source, directory)
    check_rules(modules.own, modules.library, report)
    for item in modules.chain[0].items:
        if not isinstance(item, ast.Rule | ast.Const | ast.Use | ast.Cite):
            report.add(errors_names.NoOptimizer(item.span))
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
        report.add(errors_names.PythonKeyword(headers[0].span, headers[0].name))
    return headers[0]


@dataclass
class _Spec:
    modules: Modules
    report: Report
    scope: Scope = field(default_factory=Scope)

    def check(self, header: ast.Optimizer) -> typed.CheckedSpec:
        self._declare_constants()
        hypers = [check_hyper(node, self.report) for node in hypers_of(self.modules, self.report)]
        self._declare_hypers(hypers, header)
        self._declare_lets()
        shared = self._rules_scope()
        stages = Stages(self.modules, self.report, self.scope, shared)
        matrix = stages.matrix()
        otherwise, overrides = stages.otherwise()
        routes = check_routes(self._routes(), otherwise is not None, shared, self.report)
        self._require_apart(hypers, matrix, otherwise)
        used = set(_hypers_read(matrix)) | (set(_hypers_read(otherwise)) if otherwise else set())
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
            check_overrides(overrides, set(_hypers_read(otherwise)) if otherwise else set(), hypers, self.report),
            routes,
            tuple(
                check_checkpoint(item, hypers, self.report) for item in own.items if isinstance(item, ast.Checkpoint)
            ),
            header.span,
        )

    def _routes(self) -> list[ast.Route]:
        """The routes of the first file of the chain that has any."""
        for file in self.modules.chain:
            if found := [item for item in file.items if isinstance(item, ast.Route)]:
                return found
        return []

    def _declare_constants(self) -> None:
        for constant in self.modules.library.constants.values():
            self._constant(constant)

    def _constant(self, constant: ast.Const) -> None:
        if constant.name in self.scope.bindings:
            return
        binding = Binding("a constant", None, constant.span)
        self.scope.bindings[constant.name] = binding
        try:
            for node in _names(constant.value):
                if (other := self.modules.library.constants.get(node)) and other is not constant:
                    self._constant(other)
            value = Expressions(self.scope, self.report).value(constant.value)
        except Abandoned:
            return
        if is_tensor(value) or (is_scalar(value) and not scalar.is_constant(value)):
            purpose = f"the constant `{constant.name}`"
            self.report.add(errors_types.NotCompileTime(constant.value.span, purpose))
            return
        binding.value = value

    def _cited(self) -> tuple[tuple[str, str], ...]:
        """Constants that the spec or a rule it uses reads, with their sources."""
        read = (each for name, each in self.modules.library.constants.items() if self.scope.bindings[name].is_read)
        return tuple((constant.name, constant.source) for constant in read if constant.source)

    def _declare_hypers(self, hypers: list[typed.Hyper], header: ast.Optimizer) -> None:
        for hyper in hypers:
            if hyper.name in RESERVED_NAMES or hyper.name == "scale":
                self.report.add(errors_names.ReservedName(hyper.span, hyper.name))
            elif not is_usable(hyper.name):
                self.report.add(errors_names.PythonKeyword(hyper.span, hyper.name))
            elif (first := self.scope.find(hyper.name)) is not None:
                self.report.add(errors_names.DuplicateName(hyper.span, hyper.name, first.span))
            if isinstance(hyper.default, tuple):
                symbols = tuple(scalar.Symbol(hyper.name, "hyper", index) for index in range(len(hyper.default)))
                self.scope.bindings[hyper.name] = Binding("a hyper", symbols, hyper.span, is_read=True)
            else:
                symbol = scalar.Symbol(hyper.name, "hyper")
                self.scope.bindings[hyper.name] = Binding("a hyper", symbol, hyper.span, is_read=True)
        if all(hyper.name != "lr" for hyper in hypers):
            self.report.add(errors_spec.MissingLearningRate(header.span, header.name))
            self.scope.bindings["lr"] = Binding("a hyper", None, header.span, is_read=True)

    def _declare_lets(self) -> None:
        own = {name for item in self.modules.chain[0].items if isinstance(item, ast.Let) for name in item.names}
        for file in reversed(self.modules.chain):
            for item in file.items:
                if isinstance(item, ast.Let) and (file is self.modules.chain[0] or not own & set(item.names)):
                    self._let(item)

    def _let(self, node: ast.Let) -> None:
        name = node.names[0]
        if len(node.names) > 1 or name in RESERVED_NAMES or name in ("lr", "scale"):
            self.report.add(errors_names.ReservedName(node.span, name))
            return
        if first := self.scope.find(name):
            self.report.add(errors_names.DuplicateName(node.span, name, first.span))
            return
        binding = Binding("a scalar", None, node.span)
        with suppress(Abandoned):
            binding.value = scalar.Named(name, Expressions(self.scope, self.report).number(node.value, f"`{name}`"))
        self.scope.bindings[name] = binding

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
        if self.report.found:
            return
        for item in self.modules.chain[0].items:
            if isinstance(item, ast.Hyper) and item.name not in used and item.name != "lr":
                self.report.add(errors_names.UnusedName(item.span, "hyper", item.name))
            if isinstance(item, ast.Let) and not self.scope.bindings[item.names[0]].is_read:
                self.report.add(errors_names.UnusedName(item.span, "name", item.names[0]))


def _names(node: ast.Expression) -> Iterator[str]:
    return (part.identifier for part in ast.walk(node) if isinstance(part, ast.Name))


def _hypers_read(update: typed.Update) -> Iterator[str]:
    """The hypers that an update reads, `lr` among them."""
    yield "lr"
    for part in typed.scalars(update):
        for symbol in scalar.symbols(part):
            if symbol.kind == "hyper":
                yield symbol.name
