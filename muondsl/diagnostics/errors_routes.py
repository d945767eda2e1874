"""M07xx: routes, and entries of checkpoints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from muondsl.diagnostics.diagnostic import Diagnostic, Label, closest, did_you_mean, listing
from muondsl.diagnostics.span import Span


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

    def helps(self) -> tuple[str, ...]:
        return (f"add `route {self.missing} rest` for all other parameters",)


@dataclass(frozen=True)
class BadPredicate(Diagnostic):
    """A condition of a route or view is made of comparisons of `ndim`, `rows`, `cols` and `numel`, of
    `role(embedding, …)` and `named("glob", …)`, and of `and`, `or`, `not`; that of a route may be `rest`.
    """

    code: ClassVar[str] = "M0705"

    def message(self) -> str:
        return "a route or view cannot be decided by this"

    def label(self) -> str:
        return "expected a condition on `ndim`, `rows`, `cols`, `numel`, `role(…)` or `named(…)`"


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

    def label(self) -> str:
        return f"it reads {listing(self.hypers, 'and')}"

    def helps(self) -> tuple[str, ...]:
        return did_you_mean(closest(self.name, self.hypers))


@dataclass(frozen=True)
class BadCheckpointEntry(Diagnostic):
    """`checkpoint "class" with name = value, …` lists what the groups of a compatible checkpoint must hold: numbers,
    tuples of numbers, strings, `true`, `false`, `none`. Hypers are not among them: they are live, and loaded.
    """

    code: ClassVar[str] = "M0707"
    name: str
    reason: str

    def message(self) -> str:
        return f"`{self.name}` cannot be compared with an entry of a checkpoint"

    def label(self) -> str:
        return self.reason


@dataclass(frozen=True)
class UnknownRole(Diagnostic):
    """`role(…)` asks for what a parameter is in its model: an embedding, an output head, a hidden matrix, a
    convolution, a stack of experts, a norm, a bias, or another vector.
    """

    code: ClassVar[str] = "M0708"
    role: str
    known: tuple[str, ...]

    def message(self) -> str:
        return f"there is no role `{self.role}`"

    def notes(self) -> tuple[str, ...]:
        return (f"the roles are {listing(self.known, 'and')}",)

    def helps(self) -> tuple[str, ...]:
        return did_you_mean(closest(self.role, self.known))


@dataclass(frozen=True)
class UnknownView(Diagnostic):
    """A view says which matrices are in a stored tensor, by steps one after the other: `flatten`, `batch`, `split(…)`,
    `heads(…)`, `transpose`.
    """

    code: ClassVar[str] = "M0709"
    step: str
    known: tuple[str, ...]

    def message(self) -> str:
        return f"there is no view `{self.step}`"

    def notes(self) -> tuple[str, ...]:
        return (f"the steps of views are {listing(self.known, 'and')}",)

    def helps(self) -> tuple[str, ...]:
        return did_you_mean(closest(self.step, self.known))


@dataclass(frozen=True)
class BadView(Diagnostic):
    """`split(n)` cuts a matrix into n blocks of as many rows, `split(a, b, …)` into blocks of a, b, … rows, `heads(n)`
    into n blocks. The other steps of views take no numbers.
    """

    code: ClassVar[str] = "M0710"
    problem: str

    def message(self) -> str:
        return self.problem


@dataclass(frozen=True)
class DuplicateView(Diagnostic):
    """Each view is written once; several conditions are joined with `or`."""

    code: ClassVar[str] = "M0711"
    steps: str

    def message(self) -> str:
        return f"the view `{self.steps}` is written twice"


@dataclass(frozen=True)
class ViewWithoutMatrices(Diagnostic):
    """Views say which matrices are in a parameter. A spec without stages has no route on which matrices are stepped."""

    code: ClassVar[str] = "M0712"

    def message(self) -> str:
        return "a view, but the spec steps no matrices"
