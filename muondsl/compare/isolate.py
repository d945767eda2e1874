"""One stage in, a tensor program of its own out: what it makes of the update that it finds, whatever made that."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from muondsl.check import typed
from muondsl.ir import program as ir
from muondsl.ir import scalar as sc
from muondsl.ir.rewrite import with_operands
from muondsl.lower import lower

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from muondsl.check import CheckedSpec

SCALE = sc.Symbol("scale", "hyper")
EXPORTED = "exported "
"""Stands before the names of what earlier stages export: no state can have such a name."""


@dataclass(frozen=True, slots=True)
class Isolated:
    """A stage and its program.

    The program finds the update in a state called `update`, the parameter of the step's beginning in `previous`, and
    what earlier stages export in states, `exports`; it leaves the new update and the new parameter under `update` and
    `parameter`. The scale is a hyper called `scale`. `states` are those that the stage itself keeps. `joined` is the
    stage together with those before it from which it reads something, as one; None where it reads nothing of them. A
    `project` that is joined `takes_step`: it finds the parameter as the step found it.
    """

    stage: typed.Stage
    program: ir.Program
    states: tuple[typed.State, ...]
    exports: tuple[str, ...]
    joined: Isolated | None = None
    takes_step: bool = False

    @property
    def kept(self) -> tuple[str, ...]:
        return tuple(state.variable.name for state in self.states)


def isolate_stages(spec: CheckedSpec) -> dict[str, Isolated]:
    """The stages of the matrices, and `otherwise`, by their names."""
    found: dict[str, Isolated] = {}
    stages = spec.of_matrices.stages
    for place, stage in enumerate(stages):
        alone = _isolate(spec, stage, spec.of_matrices.states, is_gradient=_is_gradient(stages[:place]))
        found[stage.name] = replace(alone, joined=_joined(spec, place) if alone.exports else None)
    if spec.otherwise:
        (stage,) = spec.otherwise.stages
        found[stage.name] = _isolate(spec, stage, spec.otherwise.states, is_gradient=True)
    return found


def _is_gradient(before: tuple[typed.Stage, ...]) -> bool:
    """Whether the update behind these stages is the gradient."""
    return all(each.variable != typed.UPDATE for stage in before for each in _sets(stage.statements))


def _joined(spec: CheckedSpec, last: int) -> Isolated:
    """The stage at a place with as few stages before it as it takes for nothing to be missing."""
    stages = spec.of_matrices.stages
    for first in range(last - 1, -1, -1):
        before = tuple(each for stage in stages[first:last] for each in stage.statements)
        is_gradient = _is_gradient(stages[:first])
        joined = _isolate(spec, stages[last], spec.of_matrices.states, before, is_gradient=is_gradient)
        if not joined.exports:
            return joined
    raise AssertionError("a stage reads a name that no stage before it exports")


def _isolate(
    spec: CheckedSpec,
    stage: typed.Stage,
    states: tuple[typed.State, ...],
    before: tuple[typed.Statement, ...] = (),
    *,
    is_gradient: bool,
) -> Isolated:
    """`before` are the statements of the stages that it is joined with. `is_gradient` says that the update which is
    found is the gradient: both are then one value.
    """
    first: tuple[typed.Statement, ...] = _rebuilt(before, _opaque_scale)
    own: tuple[typed.Statement, ...] = _rebuilt(stage.statements, _opaque_scale)
    touched = set(_variables((*first, *own)))
    kept = tuple(state for state in states if state.variable in touched)
    exports = {variable: _as_state(variable) for variable in _free((*first, *own))}
    masks = tuple(_as_mask(variable, state) for variable, state in exports.items() if variable.is_mask)
    numbers = {variable: state for variable, state in exports.items() if not variable.is_mask}
    first, own = _rebuilt((first, own), lambda node: numbers.get(node, node) if _is_variable(node) else node)
    given = tuple(_given(variable) for variable in (typed.UPDATE, typed.PREVIOUS, *exports.values()))
    is_behind_step = bool(before) and stage.name == "project"
    # Alone, `project` finds behind its input what the step made of it, so no step may be taken before it.
    chosen = (
        (replace(stage, name="decay", statements=first), replace(stage, statements=own))
        if is_behind_step
        else (replace(stage, name="decay", statements=(*masks, *first, *own)),)
    )
    update = typed.Update(chosen, (*kept, *given), SCALE if is_behind_step else sc.ONE)
    (program,) = lower(replace(spec, matrix=update, otherwise=None)).programs()
    program = program if is_behind_step else _without_step(program)
    same = {"gradient": "update"} if is_gradient else {}
    if is_behind_step or stage.name != "project":
        same["previous"] = "parameter"
    program = _reading(program, same)
    names = tuple(state.name for state in exports.values())
    return Isolated(stage, program, kept, names, takes_step=is_behind_step)


def _without_step(program: ir.Program) -> ir.Program:
    """The program with the parameter as it is before the step behind the last stage."""
    *rest, step = program.definitions
    assert isinstance(step.operation, ir.Map)
    parameter = step.operation.operands[0]
    assert isinstance(parameter, str)
    results = tuple(replace(each, value=parameter) if each.target == "parameter" else each for each in program.results)
    return replace(program, definitions=tuple(rest), results=results)


def _reading(program: ir.Program, values: dict[ir.Value, ir.Value]) -> ir.Program:
    """The program with inputs read in the place of others that are the same."""
    definitions = tuple(replace(each, operation=with_operands(each.operation, values)) for each in program.definitions)
    results = tuple(replace(each, value=values.get(each.value, each.value)) for each in program.results)
    return replace(program, definitions=definitions, results=results)


def _sets(statements: tuple[typed.Statement, ...]) -> Iterator[typed.Set]:
    for statement in statements:
        if isinstance(statement, typed.Loop):
            yield from _sets(statement.body)
        else:
            yield statement


def _variables(statements: tuple[typed.Statement, ...]) -> Iterator[typed.Variable]:
    for each in _sets(statements):
        yield each.variable
        yield from _read(each.value)


def _read(tensor: typed.Tensor) -> Iterator[typed.Variable]:
    return (part.variable for part in typed.walk(tensor) if isinstance(part, typed.Read))


def _free(statements: tuple[typed.Statement, ...]) -> list[typed.Variable]:
    """The tensors that are read but were named in an earlier stage, in the order in which they are read."""
    known: set[typed.Variable] = set()
    free: dict[typed.Variable, None] = {}
    for each in _sets(statements):
        free |= {read: None for read in _read(each.value) if read.role == "local" and read not in known}
        known.add(each.variable)
    return list(free)


def _as_state(variable: typed.Variable) -> typed.Variable:
    return replace(variable, name=f"{EXPORTED}{variable.name}", role="state", is_mask=False)


def _as_mask(variable: typed.Variable, state: typed.Variable) -> typed.Set:
    """A condition comes in as a number."""
    return typed.Set(variable, typed.Elementwise("!=", (typed.Read(state), sc.ZERO), variable.dims, True))


def _given(variable: typed.Variable) -> typed.State:
    return typed.State(variable, None, sc.ZERO, str(variable.dims))


def without_formats(stage: typed.Stage) -> typed.Stage:
    """The stage as if it had no `in` blocks."""

    def operand(node: Any) -> Any:
        return operand(node.operand) if isinstance(node, typed.Convert) else node

    return replace(stage, statements=_rebuilt(stage.statements, operand))


def _is_variable(node: Any) -> bool:
    return isinstance(node, typed.Variable)


def _opaque_scale(node: Any) -> Any:
    return SCALE if isinstance(node, sc.Named) and node.name == "scale" else node


def _rebuilt(node: Any, change: Callable[[Any], Any]) -> Any:
    """The node with `change` made to it and then to everything inside it."""
    changed = change(node)
    if isinstance(changed, tuple):
        return tuple(_rebuilt(each, change) for each in changed)
    if isinstance(changed, typed.Statement | typed.Tensor | sc.Named | sc.Call):
        parts = {each.name: _rebuilt(getattr(changed, each.name), change) for each in fields(changed)}
        return replace(changed, **parts)
    return changed
