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
