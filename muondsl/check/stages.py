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
from muondsl.diagnostics import errors_spec
from muondsl.ir import scalar
from muondsl.ir.types import MATRIX
from muondsl.parse import ast

if TYPE_CHECKING:
    from muondsl.check.modules import Modules

TARGETS = {
    "gradient": "update",
    "momentum": "update",
    "orthogonalize": "update",
    "adapt": "update",
    "scale": "scale",
    "decay": "parameter",
}
"""What each stage is for: the name that it must change."""

AMBIENT: tuple[tuple[str, typed.Role], ...] = (
    ("update", "update"),
    ("gradient", "gradient"),
    ("parameter", "parameter"),
)


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
        own = Scope(self.scope)
        for name, role in AMBIENT:
            variable = typed.Variable(name, next(bodies.numbers), role, MATRIX)
            binding = Binding("a tensor", variable, nowhere, is_read=True)
            ambient.bindings[name] = own.bindings[name] = binding
        return bodies, own

    def matrix(self) -> typed.Update:
        bodies, scope = self._bodies(is_matrix=True)
        stages = []
        for node in self._stages():
            if isinstance(node.body, ast.Name) and node.body.identifier == "none":
                continue
            stages.append(self._stage(node, bodies, scope))
            if node.stage == "scale" and bodies.scale is not None:
                named = bodies.scale if isinstance(bodies.scale, scalar.Number) else scalar.Named("scale", bodies.scale)
                for reach in (bodies.ambient, scope):
                    reach.bindings["scale"] = Binding("the scale", named, node.span, is_read=True)
                bodies.scale = named
        self._require_changing(bodies)
        return typed.Update(tuple(stages), tuple(bodies.states.values()), bodies.scale or scalar.ONE)

    def _stages(self) -> list[ast.Stage]:
        """The stages in force, each from the nearest file that writes it, in the order in which they run."""
        chosen: dict[str, ast.Stage] = {}
        for file in self.modules.chain:
            written = [item for item in file.items if isinstance(item, ast.Stage)]
            self._require_order(written)
            for node in written:
                chosen.setdefault(node.stage, node)
        return [chosen[name] for name in ast.STAGES if name in chosen]

    def _require_order(self, written: list[ast.Stage]) -> None:
        first: dict[str, ast.Stage] = {}
        for node in written:
            if node.stage in first:
                self.report.add(errors_spec.DuplicateStage(node.span, node.stage, first[node.stage].span))
                continue
            place = ast.STAGES.index(node.stage)
            later = [name for name in first if ast.STAGES.index(name) > place]
            if later:
                self.report.add(errors_spec.StageOutOfOrder(node.span, node.stage, later[0], first[later[0]].span))
            first[node.stage] = node

    def _stage(self, node: ast.Stage, bodies: Bodies, scope: Scope) -> typed.Stage:
        before, bodies.assigned = bodies.assigned, set()
        errors_before = len(self.report.found)
        statements: list[typed.Statement] = []
        with suppress(Abandoned):
            statements = self._stage_statements(node, bodies, scope)
        if len(self.report.found) == errors_before:
            self._require_effect(node, bodies)
        bodies.assigned |= before
        return typed.Stage(node.stage, _heading(node), tuple(statements), node.span)

    def _stage_statements(self, node: ast.Stage, bodies: Bodies, scope: Scope) -> list[typed.Statement]:
        expressions = Expressions(scope, self.report)
        if isinstance(node.body, ast.Block):
            return bodies.block(node.body, scope)
        if node.stage == "scale" and not self._is_rule(node.body):
            bodies.scale = expressions.number(node.body, "the scale")
            return []
        if not isinstance(node.body, ast.Call | ast.Name):
            self.report.abandon(errors_spec.StageNeedsRule(node.span, node.stage))
        return bodies.rule(node.body, expressions)

    def _is_rule(self, node: ast.Expression) -> bool:
        name = node.function if isinstance(node, ast.Call) else node.identifier if isinstance(node, ast.Name) else ""
        return name in self.modules.library.rules

    def _require_effect(self, node: ast.Stage, bodies: Bodies) -> None:
        target = TARGETS[node.stage]
        changed = {variable.name for variable in bodies.assigned if variable.role != "local"}
        if bodies.scale is not None and "scale" not in bodies.ambient.bindings:
            changed.add("scale")
        for name in ("update", "parameter", "scale"):
            if name in changed and name != target:
                self.report.add(errors_spec.AssignedInWrongStage(node.span, name, node.stage))
        if target not in changed:
            self.report.add(errors_spec.StageWithoutEffect(node.span, node.stage, target))

    def _require_changing(self, bodies: Bodies) -> None:
        for state in bodies.states.values():
            if state.variable not in bodies.assigned and not state.variable.name.startswith("initial_"):
                self.report.add(errors_spec.StateNeverChanges(state.span, state.variable.name))

    def otherwise(self) -> tuple[typed.Update | None, tuple[ast.Entry, ...]]:
        written = [item for file in self.modules.chain for item in file.items if isinstance(item, ast.Otherwise)]
        if not written:
            return None, ()
        node = written[0]
        own = [item for item in self.modules.chain[0].items if isinstance(item, ast.Otherwise)]
        for extra in own[1:]:
            self.report.add(errors_spec.DuplicateStage(extra.span, "otherwise", own[0].span))
        bodies, scope = self._bodies(is_matrix=False)
        statements: list[typed.Statement] = []
        with suppress(Abandoned):
            if isinstance(node.body, ast.Block):
                statements = bodies.block(node.body, scope)
            elif isinstance(node.body, ast.Call | ast.Name):
                statements = bodies.rule(node.body, Expressions(scope, self.report, is_matrix=False))
            else:
                self.report.add(errors_spec.StageNeedsRule(node.span, "otherwise"))
        self._require_changing(bodies)
        stage = typed.Stage("otherwise", _heading(node), tuple(statements), node.span)
        return typed.Update((stage,), tuple(bodies.states.values()), bodies.scale or scalar.ONE), node.overrides


def _heading(node: ast.Node) -> str:
    """The words of a stage before its block, on one line."""
    return " ".join(node.span.text.split("{")[0].split())
