"""M04xx: hypers. M05xx: stages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from muondsl.diagnostics.diagnostic import Diagnostic, Label
from muondsl.diagnostics.span import Span


@dataclass(frozen=True)
class DefaultOutsideRange(Diagnostic):
    """The default of a hyper lies outside the range declared for it, so the optimizer could not be made without
    giving another value.
    """

    code: ClassVar[str] = "M0401"
    name: str
    value: str
    interval: str

    def message(self) -> str:
        return f"the default {self.value} of `{self.name}` is outside {self.interval}"


@dataclass(frozen=True)
class EmptyRange(Diagnostic):
    """No number lies in the range. `[0, 1)` holds 0 but not 1; an infinite end is open."""

    code: ClassVar[str] = "M0402"
    interval: str

    def message(self) -> str:
        return f"no number lies in {self.interval}"


@dataclass(frozen=True)
class MissingLearningRate(Diagnostic):
    """Every optimizer has a hyper `lr`: the last step is `parameter <- parameter - lr * scale * update`, and
    learning-rate schedulers look for it by this name.
    """

    code: ClassVar[str] = "M0403"
    optimizer: str

    def message(self) -> str:
        return f"`{self.optimizer}` has no hyper `lr`"

    def label(self) -> str:
        return "the step of the parameter is `lr * scale * update`"

    def helps(self) -> tuple[str, ...]:
        return ("declare it: `hyper lr = 1e-3 in [0, inf)`",)


@dataclass(frozen=True)
class BadHyperDefault(Diagnostic):
    """The default of a hyper is a number, or a tuple of numbers such as `(0.9, 0.999)`, known at compile time. `lr` is
    one number. A default that `otherwise … with` gives is of the kind that the hyper has.
    """

    code: ClassVar[str] = "M0404"
    name: str
    found: str
    needed: str = "a number or a tuple of numbers"

    def message(self) -> str:
        return f"the default of `{self.name}` must be {self.needed}"

    def label(self) -> str:
        return f"this is {self.found}"

    def helps(self) -> tuple[str, ...]:
        return ("a choice that is made while compiling is a `const`",) if self.found == "a condition" else ()


@dataclass(frozen=True)
class StageOutOfOrder(Diagnostic):
    """Stages run in a fixed order and are written in it: gradient, momentum, orthogonalize, adapt, scale, decay, and
    behind the step of the parameter project. A reader must not have to guess whether a different order was meant.
    """

    code: ClassVar[str] = "M0501"
    stage: str
    later: str
    first: Span

    def message(self) -> str:
        return f"`{self.stage}` runs before `{self.later}` and must be written before it"

    def secondary(self) -> tuple[Label, ...]:
        return (Label(self.first, f"`{self.later}` is here"),)


@dataclass(frozen=True)
class DuplicateStage(Diagnostic):
    """Each stage is written once. Several steps of one stage go into one block that uses several rules."""

    code: ClassVar[str] = "M0502"
    stage: str
    first: Span

    def message(self) -> str:
        return f"`{self.stage}` is written twice"

    def secondary(self) -> tuple[Label, ...]:
        return (Label(self.first, "written here first"),)

    def helps(self) -> tuple[str, ...]:
        return (f"write one block: `{self.stage} {{ … }}`",)


@dataclass(frozen=True)
class StageWithoutEffect(Diagnostic):
    """A stage must do what it is for: `gradient`, `momentum`, `orthogonalize` and `adapt` change `update`, `scale`
    gives a scale, `decay` and `project` change `parameter`. A stage that does none of this is a mistake.
    """

    code: ClassVar[str] = "M0503"
    stage: str
    target: str

    def message(self) -> str:
        return f"the stage `{self.stage}` never changes `{self.target}`"

    def helps(self) -> tuple[str, ...]:
        return (f"end with `{self.target} <- …`",)


@dataclass(frozen=True)
class AssignedInWrongStage(Diagnostic):
    """`parameter` is changed by `decay`, `project` and `otherwise`; `scale` by `scale`; `update` by the other stages.
    This keeps what a stage may do readable from its name.
    """

    code: ClassVar[str] = "M0504"
    target: str
    stage: str
    purpose: str

    def helps(self) -> tuple[str, ...]:
        if (self.stage, self.target) != ("project", "update"):
            return ()
        return ("a rule works on the new parameter in `project { the_rule(…) on parameter }`",)

    def message(self) -> str:
        stage = "`otherwise`" if self.stage == "otherwise" else f"the stage `{self.stage}`"
        return f"{stage} cannot change `{self.target}`"

    def label(self) -> str:
        return f"`{self.stage}` is for changing `{self.purpose}`"


@dataclass(frozen=True)
class StageNeedsRule(Diagnostic):
    """A stage is a rule with its arguments, or a block; only `scale` may also be an expression."""

    code: ClassVar[str] = "M0505"
    stage: str

    def message(self) -> str:
        return f"the stage `{self.stage}` needs a rule or a block"

    def helps(self) -> tuple[str, ...]:
        return (f"write a rule, `{self.stage} name(arguments)`, or a block, `{self.stage} {{ … }}`",)


@dataclass(frozen=True)
class DuplicateState(Diagnostic):
    """Two rules keep a state of one name for the same parameter. They would overwrite each other's."""

    code: ClassVar[str] = "M0506"
    name: str
    first: Span

    def message(self) -> str:
        return f"a state called `{self.name}` exists already for this parameter"

    def secondary(self) -> tuple[Label, ...]:
        return (Label(self.first, "declared here"),)


@dataclass(frozen=True)
class StateInLoop(Diagnostic):
    """A state is declared once, outside loops."""

    code: ClassVar[str] = "M0507"
    name: str

    def message(self) -> str:
        return f"the state `{self.name}` is declared inside a loop"


@dataclass(frozen=True)
class StateNeverChanges(Diagnostic):
    """A state keeps a value from one step to the next. One that is never assigned stays what it was at the
    beginning, and costs memory for each parameter. States named `initial_…` may: they remember a beginning.
    """

    code: ClassVar[str] = "M0508"
    name: str

    def message(self) -> str:
        return f"the state `{self.name}` never changes"

    def helps(self) -> tuple[str, ...]:
        return (f"give it a new value with `{self.name} <- …`",)


@dataclass(frozen=True)
class ScaleNotOnce(Diagnostic):
    """The stage `scale` gives one scalar, once: a scale given before would be forgotten, and a scale given in a loop
    would be that of the last iteration. Put the cases together with `if … then … else`.
    """

    code: ClassVar[str] = "M0509"
    problem: str

    def message(self) -> str:
        return f"`scale` is given {self.problem}"


@dataclass(frozen=True)
class StateForgotten(Diagnostic):
    """A state keeps a value from one step to the next. One that gets a new value before the old one was read keeps it
    for nothing, and costs memory for each parameter. A value of this step alone is named with `let`.
    """

    code: ClassVar[str] = "M0510"
    name: str
    declared: Span

    def message(self) -> str:
        return f"the state `{self.name}` is changed before it is read"

    def label(self) -> str:
        return "what the step before left is lost here"

    def secondary(self) -> tuple[Label, ...]:
        return (Label(self.declared, "declared here"),)

    def helps(self) -> tuple[str, ...]:
        return (f"name a value of this step with `let {self.name} = …`",)
