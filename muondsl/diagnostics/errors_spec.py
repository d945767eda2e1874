"""M04xx: hypers. M05xx: stages. M06xx: rules and loops. M07xx: routes and checkpoints. M08xx: output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from muondsl.diagnostics.diagnostic import Diagnostic, Label, closest, did_you_mean, listing
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


@dataclass(frozen=True)
class StageOutOfOrder(Diagnostic):
    """Stages run in a fixed order and are written in it: gradient, momentum, orthogonalize, adapt, scale, decay.
    A reader must not have to guess whether a different order was meant.
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
    gives a scale, `decay` changes `parameter`. A stage that does none of this is a mistake.
    """

    code: ClassVar[str] = "M0503"
    stage: str
    target: str

    def message(self) -> str:
        return f"the stage `{self.stage}` never changes `{self.target}`"


@dataclass(frozen=True)
class AssignedInWrongStage(Diagnostic):
    """`parameter` is changed by `decay` and by `otherwise`; `scale` by `scale`; `update` by the other stages. This
    keeps what a stage may do readable from its name.
    """

    code: ClassVar[str] = "M0504"
    target: str
    stage: str
    purpose: str

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
class MissingArgument(Diagnostic):
    """The rule has parameters without a default, and no argument is given for one of them."""

    code: ClassVar[str] = "M0601"
    rule: str
    parameter: str
    declared: Span

    def message(self) -> str:
        return f"`{self.rule}` needs an argument `{self.parameter}`"

    def secondary(self) -> tuple[Label, ...]:
        return (Label(self.declared, "declared without a default"),)


@dataclass(frozen=True)
class UnknownArgument(Diagnostic):
    """The rule has no parameter of this name."""

    code: ClassVar[str] = "M0602"
    rule: str
    name: str
    parameters: tuple[str, ...]

    def message(self) -> str:
        return f"`{self.rule}` has no parameter `{self.name}`"

    def label(self) -> str:
        return f"it has {listing(self.parameters, 'and')}" if self.parameters else "it has none"

    def helps(self) -> tuple[str, ...]:
        return did_you_mean(closest(self.name, self.parameters))


@dataclass(frozen=True)
class TooManyArguments(Diagnostic):
    """More arguments are given by position than the rule has parameters, or one follows a named argument."""

    code: ClassVar[str] = "M0603"
    rule: str
    count: int
    follows_named: bool

    def message(self) -> str:
        if self.follows_named:
            return "an argument without a name follows one with a name"
        return f"`{self.rule}` has {self.count} parameter{'' if self.count == 1 else 's'}"

    def label(self) -> str:
        return "give it a name" if self.follows_named else "this argument has no place"


@dataclass(frozen=True)
class DuplicateArgument(Diagnostic):
    """One parameter is given two arguments."""

    code: ClassVar[str] = "M0604"
    name: str

    def message(self) -> str:
        return f"`{self.name}` is given twice"


@dataclass(frozen=True)
class RecursiveRule(Diagnostic):
    """A rule uses itself, directly or through others. Rules are inlined, so this would never end."""

    code: ClassVar[str] = "M0605"
    names: tuple[str, ...]

    def message(self) -> str:
        return f"the rule `{self.names[0]}` uses itself"

    def notes(self) -> tuple[str, ...]:
        return (" → ".join(self.names),)


@dataclass(frozen=True)
class LoopTooLong(Diagnostic):
    """Loops are unrolled, so their lists are bounded."""

    code: ClassVar[str] = "M0606"
    length: int
    limit: int

    def message(self) -> str:
        return f"a list of {self.length} items; at most {self.limit} are unrolled"


@dataclass(frozen=True)
class ProgramTooLarge(Diagnostic):
    """What a spec comes to, with every rule put in the place of its use, every loop unrolled and every name replaced
    by what it stands for, is bounded: so that compiling ends soon, and a step does not launch thousands of kernels.
    """

    code: ClassVar[str] = "M0607"
    excess: str

    def message(self) -> str:
        return f"{self.excess} once rules, loops and names are expanded"


@dataclass(frozen=True)
class UnknownRoute(Diagnostic):
    """A parameter is routed to `matrix`, the stages of the spec, or to `otherwise`."""

    code: ClassVar[str] = "M0701"
    target: str

    def message(self) -> str:
        return f"there is no route `{self.target}`"

    def label(self) -> str:
        return "expected `matrix` or `otherwise`"

    def helps(self) -> tuple[str, ...]:
        return did_you_mean(closest(self.target, ("matrix", "otherwise")))


@dataclass(frozen=True)
class DuplicateRoute(Diagnostic):
    """Each route is written once; several conditions are joined with `or`."""

    code: ClassVar[str] = "M0702"
    target: str
    first: Span

    def message(self) -> str:
        return f"the route `{self.target}` is written twice"

    def secondary(self) -> tuple[Label, ...]:
        return (Label(self.first, "written here first"),)


@dataclass(frozen=True)
class RouteWithoutOtherwise(Diagnostic):
    """Parameters are routed to `otherwise`, but the spec does not say what happens to them there."""

    code: ClassVar[str] = "M0703"

    def message(self) -> str:
        return "a route to `otherwise`, which the spec does not have"

    def helps(self) -> tuple[str, ...]:
        return ("add for instance `otherwise adamw(betas = (0.9, 0.95), eps = 1e-8)`",)


@dataclass(frozen=True)
class IncompleteRoutes(Diagnostic):
    """A spec that routes parameters says for both routes which ones go there. What neither or both claim is refused
    when the optimizer is made, with a list; `rest` means whatever the other route does not claim.
    """

    code: ClassVar[str] = "M0704"
    missing: str

    def message(self) -> str:
        return f"the spec has no route to `{self.missing}`"


@dataclass(frozen=True)
class BadPredicate(Diagnostic):
    """A route's condition is made of comparisons of `ndim`, `rows`, `cols` and `numel`, of `named("glob", …)`, and of
    `and`, `or`, `not`; or it is `rest`.
    """

    code: ClassVar[str] = "M0705"

    def message(self) -> str:
        return "a route cannot be decided by this"

    def label(self) -> str:
        return "expected a condition on `ndim`, `rows`, `cols`, `numel` or `named(…)`"


@dataclass(frozen=True)
class UnknownOverride(Diagnostic):
    """`otherwise … with name = value` gives a hyper another default for the parameters of that route. The name must
    be a hyper that `otherwise` reads.
    """

    code: ClassVar[str] = "M0706"
    name: str
    hypers: tuple[str, ...]

    def message(self) -> str:
        return f"`{self.name}` is not a hyper that `otherwise` reads"

    def helps(self) -> tuple[str, ...]:
        return did_you_mean(closest(self.name, self.hypers))


@dataclass(frozen=True)
class BadCheckpointEntry(Diagnostic):
    """`checkpoint "class" with name = value, …` lists what the groups of a compatible checkpoint must hold: numbers,
    tuples of numbers, strings, `true`, `false`, `none`. Hypers are not among them: they are live, and loaded.
    """

    code: ClassVar[str] = "M0707"
    name: str

    def message(self) -> str:
        return f"`{self.name}` cannot be compared with an entry of a checkpoint"


@dataclass(frozen=True)
class CannotWrite(Diagnostic):
    """The output could not be written. Nothing was changed: files are written beside their place and moved there."""

    code: ClassVar[str] = "M0801"
    path: str
    reason: str

    def message(self) -> str:
        return f"cannot write {self.path}: {self.reason}"


@dataclass(frozen=True)
class StaleOutput(Diagnostic):
    """`compile --check` found that the committed file is missing or is not what the spec yields. Compile again and
    commit the result; never edit generated code.
    """

    code: ClassVar[str] = "M0802"
    path: str
    reason: str

    def message(self) -> str:
        return f"{self.path} {self.reason}"

    def helps(self) -> tuple[str, ...]:
        return ("run `muondsl compile` and commit what it writes",)


@dataclass(frozen=True)
class NotGenerated(Diagnostic):
    """The file in the place of the output was not written by muondsl. It is left as it is: move it away, or choose
    another directory with `-o`.
    """

    code: ClassVar[str] = "M0803"
    path: str

    def message(self) -> str:
        return f"{self.path} was not generated by muondsl and is not overwritten"
