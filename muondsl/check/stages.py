"""The stages of a spec and its `otherwise`: which are in force, their order, and what each of them changes."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from muondsl.check import typed
from muondsl.check.bodies import Bodies
from muondsl.check.expressions import Expressions
from muondsl.check.report import Abandoned, Report
from muondsl.check.scope import Binding, Scope
from muondsl.diagnostics import errors_names, errors_spec
from muondsl.ir import scalar
from muondsl.parse import ast

if TYPE_CHECKING:
    from muondsl.check.modules import Modules
    from muondsl.diagnostics.span import Span

TARGETS = {
    "gradient": "update",
    "momentum": "update",
    "orthogonalize": "update",
    "adapt": "update",
    "scale": "scale",
    "decay": "parameter",
    "project": "parameter",
}
"""What each stage is for: the name that it must change."""


@dataclass
class Stages:
    """`scope` holds the spec's hypers, constants and lets; `shared` is what of it every rule sees."""

    modules: Modules
    report: Report
    scope: Scope
    shared: Scope

    def _bodies(self, *, is_matrix: bool) -> tuple[Bodies, Scope]:
        ambient = Scope(bindings=dict(self.shared.bindings))
        bodies = Bodies(self.modules.library, self.report, ambient, is_matrix)
        nowhere = self.modules.chain[0].span
        own = Scope(Scope(self.scope, bodies.exported.bindings))
        for variable in typed.AMBIENT:
            binding = Binding("a tensor", variable, nowhere, is_read=True)
            ambient.bindings[variable.name] = own.bindings[variable.name] = binding
        return bodies, own

    def matrix(self) -> typed.Update:
        bodies, scope = self._bodies(is_matrix=True)
        failures = self.report.failures
        stages = []
        for node in self._stages():
            if is_none(node.body):
                continue
            stages.append(self._stage(node, bodies, scope))
            if node.stage == "scale" and bodies.scale is not None:
                named = bodies.scale if isinstance(bodies.scale, scalar.Number) else scalar.Named("scale", bodies.scale)
                for reach in (bodies.ambient, scope):
                    reach.bindings["scale"] = Binding("the scale", named, node.span, is_read=True)
                bodies.scale = named
        if self.report.failures == failures:
            self._require_changing(bodies)
            self._require_exports_read(bodies)
        return typed.Update(tuple(stages), tuple(bodies.states.values()), bodies.scale or scalar.ONE)

    def _stages(self) -> list[ast.Stage]:
        """The stages in force, each from the nearest file that writes it, in the order in which they run."""
        chosen: dict[str, ast.Stage] = {}
        for file in self.modules.chain:
            written = [item for item in file.items if isinstance(item, ast.Stage)]
            self._require_order([node for node in written if not is_none(node.body)])
            for node in written:
                chosen.setdefault(node.stage, node)
        return [chosen[name] for name in ast.STAGES if name in chosen]

    def _require_order(self, written: list[ast.Stage]) -> None:
        first: dict[str, ast.Stage] = {}
        for node in written:
            if node.stage in first:
                place = first[node.stage].span.word(node.stage)
                self.report.add(errors_spec.DuplicateStage(node.span.word(node.stage), node.stage, place))
                continue
            later = [name for name in first if ast.STAGES.index(name) > ast.STAGES.index(node.stage)]
            if later:
                place = first[later[0]].span.word(later[0])
                self.report.add(errors_spec.StageOutOfOrder(node.span.word(node.stage), node.stage, later[0], place))
            first[node.stage] = node

    def _stage(self, node: ast.Stage, bodies: Bodies, scope: Scope) -> typed.Stage:
        before, bodies.assigned, bodies.scale_span = bodies.assigned, {}, None
        failures = self.report.failures
        statements: list[typed.Statement] = []
        with suppress(Abandoned):
            statements = self._stage_statements(node, bodies, scope)
        if self.report.failures == failures:
            self._require_effect(node, bodies)
        bodies.assigned |= before
        return typed.Stage(node.stage, _heading(node), tuple(statements), node.span)

    def _stage_statements(self, node: ast.Stage, bodies: Bodies, scope: Scope) -> list[typed.Statement]:
        expressions = Expressions(scope, self.report, rules=self.modules.library.rules)
        if isinstance(node.body, ast.Block):
            return bodies.block(node.body, scope)
        if node.stage == "scale" and not self._is_rule(node.body):
            bodies.scale = expressions.number(node.body, "the scale")
            bodies.scale_span = node.body.span
            return []
        if not isinstance(node.body, ast.Call | ast.Name):
            self.report.abandon(errors_spec.StageNeedsRule(node.body.span, node.stage))
        return bodies.rule(node.body, expressions)

    def _is_rule(self, node: ast.Expression) -> bool:
        name = node.function if isinstance(node, ast.Call) else node.identifier if isinstance(node, ast.Name) else ""
        return name in self.modules.library.rules

    def _require_effect(self, node: ast.Stage, bodies: Bodies) -> None:
        target = TARGETS[node.stage]
        changed = self._changed(bodies)
        for name in ("update", "parameter", "scale"):
            if name in changed and name != target:
                self.report.add(errors_spec.AssignedInWrongStage(changed[name], name, node.stage, target))
        if target not in changed:
            self.report.add(errors_spec.StageWithoutEffect(node.span.word(node.stage), node.stage, target))

    def _changed(self, bodies: Bodies) -> dict[str, Span]:
        """What was given a value, and where, of that which stages are for."""
        changed = {variable.name: span for variable, span in bodies.assigned.items() if variable.role != "local"}
        return changed | ({"scale": bodies.scale_span} if bodies.scale_span else {})

    def _require_changing(self, bodies: Bodies) -> None:
        for state in bodies.states.values():
            if state.variable not in bodies.assigned and not state.variable.name.startswith("initial_"):
                self.report.add(errors_spec.StateNeverChanges(state.span, state.variable.name))

    def _require_exports_read(self, bodies: Bodies) -> None:
        for name, binding in bodies.exported.bindings.items():
            if not binding.is_read:
                self.report.add(errors_names.UnusedName(binding.span, "exported name", name))

    def otherwise(self) -> tuple[typed.Update | None, tuple[ast.Entry, ...]]:
        written = [item for file in self.modules.chain for item in file.items if isinstance(item, ast.Otherwise)]
        if not written:
            return None, ()
        node = written[0]
        own = [item for item in self.modules.chain[0].items if isinstance(item, ast.Otherwise)]
        for extra in own[1:]:
            place = own[0].span.word("otherwise")
            self.report.add(errors_spec.DuplicateStage(extra.span.word("otherwise"), "otherwise", place))
        if is_none(node.body):
            return None, ()
        bodies, scope = self._bodies(is_matrix=False)
        failures = self.report.failures
        statements: list[typed.Statement] = []
        with suppress(Abandoned):
            if isinstance(node.body, ast.Block):
                statements = bodies.block(node.body, scope)
            elif isinstance(node.body, ast.Call | ast.Name):
                statements = bodies.rule(node.body, Expressions(scope, self.report, is_matrix=False))
            else:
                self.report.add(errors_spec.StageNeedsRule(node.body.span, "otherwise"))
        if self.report.failures == failures:
            self._require_changing(bodies)
            self._require_exports_read(bodies)
            if bodies.scale_span:
                self.report.add(errors_spec.AssignedInWrongStage(bodies.scale_span, "scale", "otherwise", "update"))
        stage = typed.Stage("otherwise", _heading(node), tuple(statements), node.span)
        return typed.Update((stage,), tuple(bodies.states.values()), bodies.scale or scalar.ONE), node.overrides


def is_none(node: ast.Expression | ast.Block) -> bool:
    """`none` takes away what a parent has."""
    return isinstance(node, ast.Name) and node.identifier == "none"


def _heading(node: ast.Node) -> str:
    """The words of a stage before its block, on one line."""
    return " ".join(node.span.text.split("{")[0].split())
