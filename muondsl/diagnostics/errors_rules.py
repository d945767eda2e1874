"""M06xx: rules, their arguments, and loops."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from muondsl.diagnostics.diagnostic import Diagnostic, Label, closest, did_you_mean, listing
from muondsl.diagnostics.span import Span


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
