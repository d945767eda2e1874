"""Blocks and rules: statements in, typed statements out. Rules are inlined where they are used."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import count, product
from typing import TYPE_CHECKING, assert_never

from muondsl.check import typed
from muondsl.check.expressions import Expressions
from muondsl.check.list_calls import MAXIMUM_LIST
from muondsl.check.modules import RESERVED_NAMES, Library
from muondsl.check.report import Abandoned, Report
from muondsl.check.scope import Binding, Scope
from muondsl.check.states import check_state, number_format
from muondsl.check.values import Value, describe, is_condition, is_scalar, is_tensor, operations
from muondsl.diagnostics import errors_names, errors_rules, errors_spec, errors_types
from muondsl.diagnostics.diagnostic import Label, closest
from muondsl.diagnostics.span import Span
from muondsl.ir import scalar
from muondsl.ir.reserved import is_usable
from muondsl.parse import ast

if TYPE_CHECKING:
    from collections.abc import Iterator

MAXIMUM_OPERATIONS = 4_000
"""Operations on tensors in one step of a parameter, loops unrolled."""

FIXED = {"gradient": "the gradient as it came", "previous": "the parameter as the step found it"}
"""Tensors that keep their value, by their roles."""

MAXIMUM_DEPTH = 40
"""Blocks inside each other, with those of the rules that are used in them."""


@dataclass
class Bodies:
    """Checks the statements of one update: of the matrices, or of `otherwise`.

    `ambient` binds what every rule can see: the tensors, `lr`, and the constants. `assigned` holds where each variable
    was given a value last; `scale_span` is where `scale` was;
    `exported` are the names that later stages see.
    """

    library: Library
    report: Report
    ambient: Scope
    is_matrix: bool = True
    states: dict[str, typed.State] = field(default_factory=dict)
    assigned: dict[typed.Variable, Span] = field(default_factory=dict)
    scale: scalar.Scalar | None = None
    scale_span: Span | None = None
    numbers: Iterator[int] = field(default_factory=lambda: count(len(typed.AMBIENT) + 1))
    operations: int = 0
    depth: int = 0
    exported: Scope = field(default_factory=Scope)

    def block(self, block: ast.Block, scope: Scope) -> list[typed.Statement]:
        """A block of the spec itself, which sees the spec's hypers."""
        inside = Expressions(Scope(scope), self.report, self.is_matrix, rules=self.library.rules)
        return _Body(self, inside).run(block.statements)

    def rule(
        self, call: ast.Call | ast.Name, within: Expressions, active: tuple[str, ...] = (), *, in_loop: bool = False
    ) -> list[typed.Statement]:
        """A use of a rule, with the arguments evaluated where it stands. Raises Abandoned after reporting."""
        name = call.function if isinstance(call, ast.Call) else call.identifier
        rule = self.library.rules.get(name)
        if rule is None:
            self.report.abandon(errors_names.UnknownRule(call.span.word(name), name, closest(name, self.library.rules)))
        if name in active:
            cycle = (*active[active.index(name) :], name)
            self.report.abandon(errors_rules.RecursiveRule(call.span.word(name), cycle))
        scope = Scope(within.subject or self.ambient)
        statements = self._bind(rule, call, within, scope)
        outer = self.report.uses
        self.report.uses = (Label(call.span, f"in this use of `{name}`"), *outer)
        try:
            inside = replace(within, scope=scope, rules=self.library.rules)
            body = _Body(self, inside, (*active, name), in_loop)
            return statements + body.run(rule.body.statements)
        finally:
            self.report.uses = outer

    def _bind(
        self, rule: ast.Rule, call: ast.Call | ast.Name, within: Expressions, scope: Scope
    ) -> list[typed.Statement]:
        """Declares the parameters of a rule; a tensor given for one is computed before the rule runs."""
        failures = self.report.failures
        given = self._given(rule, call) if isinstance(call, ast.Call) else {}
        if self.report.failures > failures:
            raise Abandoned
        defaults = Expressions(within.subject or self.ambient, self.report, self.is_matrix)
        is_complete = True
        statements: list[typed.Statement] = []
        for parameter in rule.parameters:
            argument = given.get(parameter.name)
            node, where = (argument, within) if argument else (parameter.default, defaults)
            if node is None:
                is_complete = False
                missing = errors_rules.MissingArgument(
                    call.span.word(rule.name), rule.name, parameter.name, parameter.span
                )
                self.report.add(missing)
                continue
            value = self._argument(node, where)
            if value is not None and not isinstance(value, typed.Variable) and is_tensor(value):
                number, is_mask = next(self.numbers), is_condition(value)
                variable = typed.Variable(parameter.name, number, "local", value.dims, is_mask)
                statements += self.set(variable, value, node.span)
                value = variable
            scope.bindings[parameter.name] = Binding("a parameter of a rule", value, parameter.span, is_read=True)
        if not is_complete:
            raise Abandoned
        return statements

    def _argument(self, node: ast.Expression, where: Expressions) -> Value | typed.Variable | None:
        try:
            return where.value(node)
        except Abandoned:
            return None

    def set(self, variable: typed.Variable, value: typed.Tensor, span: Span) -> list[typed.Statement]:
        self.count(1 + operations(value), span)
        return [typed.Set(variable, value, span)]

    def count(self, operations: int, span: Span) -> None:
        """Counts operations of the step."""
        self.operations += operations
        if self.operations > MAXIMUM_OPERATIONS:
            excess = f"the step has more than {MAXIMUM_OPERATIONS} operations"
            self.report.stop(errors_rules.ProgramTooLarge(span, excess))

    def _given(self, rule: ast.Rule, call: ast.Call) -> dict[str, ast.Expression]:
        names = tuple(parameter.name for parameter in rule.parameters)
        given: dict[str, ast.Expression] = {}
        is_named = False
        for place, argument in enumerate(call.arguments):
            is_named = is_named or argument.name is not None
            if argument.name is None and (place >= len(names) or is_named):
                self.report.add(errors_rules.TooManyArguments(argument.span, rule.name, len(names), place < len(names)))
                continue
            name = argument.name or names[place]
            if name not in names:
                self.report.add(errors_rules.UnknownArgument(argument.span.word(name), rule.name, name, names))
            elif name in given:
                self.report.add(errors_rules.DuplicateArgument(argument.span.word(name), name))
            else:
                given[name] = argument.value
        return given


@dataclass
class _Body:
    """The statements of one block, in a scope of its own."""

    bodies: Bodies
    expressions: Expressions
    active: tuple[str, ...] = ()
    in_loop: bool = False

    @property
    def report(self) -> Report:
        return self.bodies.report

    @property
    def scope(self) -> Scope:
        return self.expressions.scope

    def run(self, statements: tuple[ast.Statement, ...]) -> list[typed.Statement]:
        done: list[typed.Statement] = []
        self.bodies.depth += 1
        for statement in statements:
            self.report.spend(statement.span)
            if self.bodies.depth > MAXIMUM_DEPTH:
                excess = f"blocks are nested more than {MAXIMUM_DEPTH} levels deep"
                self.report.stop(errors_rules.ProgramTooLarge(statement.span, excess))
            try:
                done += self._statement(statement)
            except Abandoned:
                self._forget(statement)
        self.bodies.depth -= 1
        for name, binding in self.scope.bindings.items():
            if not binding.is_read:
                kind = "state" if binding.kind == "a state" else "name"
                self.report.add(errors_names.UnusedName(binding.span, kind, name))
        return done

    def _forget(self, statement: ast.Statement) -> None:
        """After an error, declares and reads what the statement would have, so that these are not errors as well."""
        for node in ast.walk(statement):
            name = node.identifier if isinstance(node, ast.Name) else None
            name = node.target if isinstance(node, ast.Apply) else name
            if name and (binding := self.scope.find(name)):
                binding.is_read = True
        names = statement.names if isinstance(statement, ast.Let) else ()
        if isinstance(statement, ast.State):
            names = (statement.name,)
        is_exported = isinstance(statement, ast.Let) and statement.is_exported
        for scope, name in product((self.scope, self.bodies.exported) if is_exported else (self.scope,), names):
            scope.bindings.setdefault(name, Binding("unknown", None, statement.span, is_read=True))

    def _statement(self, statement: ast.Statement) -> list[typed.Statement]:
        match statement:
            case ast.State():
                self._state(statement)
                return []
            case ast.Let():
                return self._let(statement)
            case ast.Assign():
                return self._assign(statement)
            case ast.For():
                return self._loop(statement)
            case ast.Precision():
                return self._precision(statement)
            case ast.Apply(_, None):
                return self._apply(statement.call, self.expressions)
            case ast.Apply():
                return self._apply_on(statement)
            case _:
                assert_never(statement)

    def _apply(self, call: ast.Call, within: Expressions) -> list[typed.Statement]:
        return self.bodies.rule(call, within, self.active, in_loop=self.in_loop)

    def _apply_on(self, node: ast.Apply) -> list[typed.Statement]:
        """The rule on a variable of its own in the place of `update`, which is then assigned to the target."""
        assert node.target is not None
        place = node.span.last(len(node.target))
        target = self._target(node.target, place)
        value = self.expressions.value(ast.Name(node.target, span=place))
        assert is_tensor(value)
        if is_condition(value):
            self.report.abandon(errors_types.ConditionAsNumber(place))
        name = node.target if target.role == "local" else f"new_{node.target}"
        subject = typed.Variable(name, next(self.bodies.numbers), "local", target.dims)
        inner = Scope(self.bodies.ambient, {"update": Binding("a tensor", subject, place, is_read=True)})
        before = self.bodies.set(subject, value, place)
        inside = self._apply(node.call, replace(self.expressions, subject=inner))
        return before + inside + self._set(target, typed.Read(subject), place)

    def _declare(self, name: str, value: Value | typed.Variable | None, kind: str, span: Span) -> None:
        place = span.word(name)
        if name in RESERVED_NAMES or name in ("lr", "scale"):
            self.report.abandon(errors_names.ReservedName(place, name))
        first = self.scope.find(name)
        if first is not None and first.kind not in ("a hyper", "a constant"):
            self.report.abandon(errors_names.DuplicateName(place, name, first.span))
        self.scope.bindings[name] = Binding(kind, value, place)

    def _state(self, node: ast.State) -> None:
        place = node.span.word(node.name)
        if self.in_loop:
            self.report.abandon(errors_spec.StateInLoop(place, node.name))
        if node.name in RESERVED_NAMES:
            self.report.abandon(errors_names.ReservedName(place, node.name))
        if not is_usable(node.name):
            self.report.abandon(errors_names.PythonKeyword(place, node.name))
        if first := self.bodies.states.get(node.name):
            self.report.abandon(errors_spec.DuplicateState(place, node.name, first.span))
        state = check_state(node, next(self.bodies.numbers), self.expressions)
        self._declare(node.name, state.variable, "a state", node.span)
        self.bodies.states[node.name] = state

    def _let(self, node: ast.Let) -> list[typed.Statement]:
        if node.is_exported and (self.active or self.in_loop):
            where = "a rule" if self.active else "a loop"
            self.report.abandon(errors_names.BadExport(node.span.word(node.names[0]), node.names[0], where))
        if len(node.names) > 1:
            items = self.expressions.items(node.value, "what is taken apart")
            if len(items) != len(node.names):
                self.report.abandon(errors_types.WrongTupleLength(node.value.span, len(node.names), len(items)))
            named = [(name, item) for name, item in zip(node.names, items, strict=True) if name != "_"]
            return [done for name, item in named for done in self._name(name, item, node)]
        return self._name(node.names[0], self.expressions.value(node.value), node)

    def _name(self, name: str, value: Value, node: ast.Let) -> list[typed.Statement]:
        statements = self._local(name, value, node)
        if node.is_exported:
            self.bodies.exported.bindings[name] = self.scope.bindings.pop(name)
        return statements

    def _local(self, name: str, value: Value, node: ast.Let) -> list[typed.Statement]:
        if is_scalar(value):
            is_given = isinstance(value, scalar.Symbol | scalar.Named)
            self._declare(name, value if is_given else scalar.Named(name, value), "a scalar", node.span)
            return []
        if not is_tensor(value):
            self._declare(name, value, "a list" if isinstance(value, tuple) else describe(value), node.span)
            return []
        variable = typed.Variable(name, next(self.bodies.numbers), "local", value.dims, is_condition(value))
        self._declare(name, variable, "a tensor", node.span)
        return self._set(variable, value, node.span)

    def _set(self, variable: typed.Variable, value: typed.Tensor, span: Span) -> list[typed.Statement]:
        place = span.word(variable.name)
        state = self.scope.find(variable.name)
        if variable.role == "state" and state and not state.is_read:
            state.is_read = True
            self.report.add(errors_spec.StateForgotten(place, variable.name, state.span))
        self.bodies.assigned[variable] = place
        return self.bodies.set(variable, value, span)

    def _assign(self, node: ast.Assign) -> list[typed.Statement]:
        if node.target == "scale":
            return self._assign_scale(node)
        variable = self._target(node.target, node.span.word(node.target))
        value = self.expressions.value(node.value)
        if is_scalar(value) and not is_condition(value):
            value = typed.Elementwise("full", (value, typed.Read(variable)), variable.dims)
        if not is_tensor(value):
            what = f"the value of `{node.target}`"
            self.report.abandon(errors_types.ExpectedTensor(node.value.span, describe(value), what))
        if is_condition(value) != variable.is_mask:
            self.report.abandon(errors_types.ConditionAsNumber(node.value.span))
        if value.dims != variable.dims:
            shown = (node.target, str(variable.dims), str(value.dims))
            self.report.abandon(errors_types.AssignmentChangesDimensions(node.value.span, *shown))
        return self._set(variable, value, node.span)

    def _assign_scale(self, node: ast.Assign) -> list[typed.Statement]:
        place = node.span.word("scale")
        if self.in_loop:
            self.report.abandon(errors_spec.ScaleNotOnce(place, "in a loop"))
        if self.bodies.scale_span is not None:
            self.report.abandon(errors_spec.ScaleNotOnce(place, "twice"))
        self.bodies.scale_span = place
        self.bodies.scale = self.expressions.number(node.value, "the scale")
        return []

    def _target(self, name: str, place: Span) -> typed.Variable:
        """The variable of a name that stands in the place of what is assigned."""
        binding = self.scope.find(name)
        if binding is None and name in RESERVED_NAMES:
            self.report.abandon(errors_names.NotAssignable(place, name, "fixed"))
        if binding is None:
            near = closest(name, self.scope.names())
            self.report.abandon(errors_names.UnknownName(place, name, near))
        if binding.value is None:
            self.report.skip()
        if binding.kind == "a parameter of a rule" or not isinstance(binding.value, typed.Variable):
            self.report.abandon(errors_names.NotAssignable(place, name, binding.kind))
        if binding.value.role in FIXED:
            self.report.abandon(errors_names.NotAssignable(place, name, FIXED[binding.value.role]))
        return binding.value

    def _loop(self, node: ast.For) -> list[typed.Statement]:
        items = self.expressions.items(node.items, "what a loop runs over")
        if len(items) > MAXIMUM_LIST:
            self.report.abandon(errors_rules.LoopTooLong(node.items.span, len(items), MAXIMUM_LIST))
        symbols = tuple(scalar.Symbol(f"{name}.{next(self.bodies.numbers)}", "loop") for name in node.names)
        rows = [self._item(item, node) for item in items]
        inner = Scope(self.scope)
        body = replace(self, expressions=self.expressions.within(inner), in_loop=True)
        for name, symbol in zip(node.names, symbols, strict=True):
            body._declare(name, symbol, "a loop's variable", node.span)
            inner.bindings[name].is_read = True
        before = self.bodies.operations
        statements = body.run(node.body.statements)
        once = 1 + self.bodies.operations - before
        self.bodies.operations = before
        self.bodies.count(once * len(rows), node.items.span)
        return [typed.Loop(symbols, tuple(rows), tuple(statements), node.span)]

    def _item(self, item: Value, node: ast.For) -> tuple[scalar.Scalar, ...]:
        parts = item if isinstance(item, tuple) else (item,)
        if len(parts) != len(node.names):
            self.report.abandon(errors_types.WrongTupleLength(node.items.span, len(node.names), len(parts)))
        for part in parts:
            if not is_scalar(part):
                self.report.abandon(
                    errors_types.ExpectedScalar(node.items.span, describe(part), "what a loop runs over")
                )
            if is_condition(part):
                self.report.abandon(errors_types.ConditionAsNumber(node.items.span))
            if not scalar.is_constant(part):
                self.report.abandon(errors_types.NotCompileTime(node.items.span, "what a loop runs over"))
        return tuple(part for part in parts if is_scalar(part))

    def _precision(self, node: ast.Precision) -> list[typed.Statement]:
        dtype = number_format(node.dtype, node.span.word(node.dtype), self.expressions)
        inner = replace(self.expressions, scope=Scope(self.scope), format=dtype)
        return replace(self, expressions=inner).run(node.body.statements)
