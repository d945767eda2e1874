"""All that is known of one stage of one spec. torch is imported where numbers have to be measured, and only there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from muondsl.check import typed
from muondsl.compare.fact import Fact
from muondsl.compare.guards import guards
from muondsl.compare.isolate import EXPORTED, Isolated
from muondsl.compare.linear_facts import linear_facts
from muondsl.compare.parameter_facts import decay_facts
from muondsl.compare.probe_values import NO_VALUE, Hypers, default_hypers, without_zeros
from muondsl.compare.reads import inputs_read, is_changed, symbols_read
from muondsl.compare.recurrence import Recurrence, recurrence
from muondsl.compare.tables import table_facts
from muondsl.emit.mathematics import formula

if TYPE_CHECKING:
    from collections.abc import Iterator

    from muondsl.check import CheckedSpec

FASTEST = 0.1
"""The learning rate at which decays are measured: at a usual one, rounding would hide digits of a rate."""

UNMEASURED = "numbers"
"""What a fact is about that says why there are no others."""

AS_IT_COMES = "that of what comes in"


@dataclass(frozen=True, slots=True)
class Subject:
    """A stage of a spec, with the hypers at which it is measured: the defaults, but none of them 0."""

    isolated: Isolated
    hypers: Hypers
    tables: tuple[typed.Table, ...]

    @property
    def fast_hypers(self) -> Hypers:
        return {**self.hypers, "lr": FASTEST}

    def recurrence(self) -> Recurrence | None:
        return recurrence(self.isolated) if is_changed(self.isolated, "update") else None


def to_subject(spec: CheckedSpec, isolated: Isolated) -> Subject:
    hypers = default_hypers(spec, is_otherwise=isolated.stage.name == "otherwise")
    return Subject(isolated, without_zeros(hypers, spec), spec.tables)


def stage_facts(subject: Subject) -> Iterator[Fact]:
    yield from measured_facts(subject)
    yield from written_facts(subject)


def measured_facts(subject: Subject) -> Iterator[Fact]:
    """What comes out for what comes in; at least that something has no value at the defaults."""
    try:
        yield from _update(subject)
        if is_changed(subject.isolated, "parameter"):
            yield from _parameter(subject)
    except NO_VALUE as error:
        yield Fact(UNMEASURED, f"not all: {error}")


def written_facts(subject: Subject) -> Iterator[Fact]:
    """What the program says without being run."""
    isolated = subject.isolated
    yield from table_facts(isolated.stage, subject.tables)
    yield from guards(isolated.program, subject.hypers)
    yield from _read_besides(isolated)
    yield from _formats(isolated.stage)
    if isolated.states:
        yield Fact("states", "\n".join(_state(state) for state in isolated.states))


def _update(subject: Subject) -> Iterator[Fact]:
    if not is_changed(subject.isolated, "update"):
        return
    if linear := subject.recurrence():
        yield from linear_facts(linear, subject.hypers)
        return
    from muondsl.compare.nonlinear_facts import is_finite, nonlinear_facts, size_facts
    from muondsl.compare.respond import to_responder
    from muondsl.compare.spectral_facts import acts_on_singular_values, spectral_facts

    responder = to_responder(subject.isolated, subject.hypers)
    if not is_finite(responder):
        yield Fact("result for Gaussian updates", "not finite")
        return
    if not subject.isolated.states and acts_on_singular_values(responder):
        yield Fact("an element of the result depends on", "the whole matrix, by its singular values")
        yield from spectral_facts(responder)
        yield from size_facts(responder)
    else:
        yield from nonlinear_facts(responder)


def _parameter(subject: Subject) -> Iterator[Fact]:
    if subject.isolated.stage.name != "project":
        yield from decay_facts(subject.isolated, subject.fast_hypers)
        return
    from muondsl.compare.projection_facts import projection_facts
    from muondsl.compare.respond import to_responder

    yield from projection_facts(to_responder(subject.isolated, subject.fast_hypers))


def _read_besides(isolated: Isolated) -> Iterator[Fact]:
    """What the result is made of beside what the stage is there to change, and its own states."""
    target = "parameter" if isolated.stage.name == "project" else "update"
    usual = {target, *isolated.kept}
    read = [name for name in inputs_read(isolated, target) if name not in usual]
    read += [str(symbol) for symbol in symbols_read(isolated, target) if symbol.kind == "step"]
    lines = [", ".join(sorted(name for name in read if name not in isolated.exports))]
    if isolated.exports:
        names = ", ".join(name.removeprefix(EXPORTED) for name in isolated.exports)
        lines.append(f"{names}, of an earlier stage: both are measured as one")
    if any(lines) and is_changed(isolated, target):
        yield Fact("what it reads besides", "\n".join(filter(None, lines)))


def _formats(stage: typed.Stage) -> Iterator[Fact]:
    formats = sorted({str(part.format) for part in _tensors(stage.statements) if isinstance(part, typed.Convert)})
    yield Fact("number format", ", ".join(formats) or AS_IT_COMES)


def _tensors(statements: tuple[typed.Statement, ...]) -> Iterator[typed.Tensor]:
    for statement in statements:
        if isinstance(statement, typed.Loop):
            yield from _tensors(statement.body)
        else:
            yield from typed.walk(statement.value)


def _state(state: typed.State) -> str:
    first = state.initial if isinstance(state.initial, str) else formula(state.initial)
    return f"{state.variable.name}[{state.shape}], in {state.format or 'the format of the parameter'}, at first {first}"
