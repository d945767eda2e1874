"""M01xx: files that refer to each other. M02xx: names."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from muondsl.diagnostics.diagnostic import Diagnostic, Label, did_you_mean, listing
from muondsl.diagnostics.span import Span


@dataclass(frozen=True)
class ParentNotFound(Diagnostic):
    """`optimizer B extends A` takes the stages of A and changes some. A's file is the one beside B's whose
    name is A in lower case with underscores: `TorchMuon` is found in `torch_muon.muon`.
    """

    code: ClassVar[str] = "M0101"
    parent: str
    path: str
    close: str | None

    def message(self) -> str:
        return f"cannot find the optimizer `{self.parent}` that this one extends"

    def label(self) -> str:
        return f"there is no file {self.path}"

    def helps(self) -> tuple[str, ...]:
        return (f"there is a file {self.close} in this directory",) if self.close else ()


@dataclass(frozen=True)
class UsedFileNotFound(Diagnostic):
    """`use "file.muon"` makes the rules and constants of another file available. The path is relative to the
    file that holds the `use`. The standard library needs no `use`.
    """

    code: ClassVar[str] = "M0102"
    path: str
    close: str | None

    def message(self) -> str:
        return f'cannot find "{self.path}"'

    def label(self) -> str:
        return "there is no such file beside this one"

    def helps(self) -> tuple[str, ...]:
        return did_you_mean(self.close)


@dataclass(frozen=True)
class ImportCycle(Diagnostic):
    """Files use or extend each other in a circle, so none of them can be read first."""

    code: ClassVar[str] = "M0103"
    names: tuple[str, ...]

    def message(self) -> str:
        return "files refer to each other in a circle"

    def notes(self) -> tuple[str, ...]:
        return (" → ".join(self.names),)


@dataclass(frozen=True)
class NoOptimizer(Diagnostic):
    """A spec names its optimizer: `optimizer Moonlight`. A file of rules alone can be used by specs, formatted
    and checked, but there is nothing in it to compile.
    """

    code: ClassVar[str] = "M0104"

    def message(self) -> str:
        return "the file declares no optimizer"

    def helps(self) -> tuple[str, ...]:
        return ("begin the spec with `optimizer Name`",)


@dataclass(frozen=True)
class SeveralOptimizers(Diagnostic):
    """A file holds one optimizer: its name is the file's subject. Put a variant in a file of its own with
    `optimizer B extends A`.
    """

    code: ClassVar[str] = "M0105"
    first: Span

    def message(self) -> str:
        return "a second optimizer in one file"

    def secondary(self) -> tuple[Label, ...]:
        return (Label(self.first, "the first one"),)


@dataclass(frozen=True)
class WrongOptimizerInFile(Diagnostic):
    """The file found for `extends A` declares an optimizer of another name, or none."""

    code: ClassVar[str] = "M0106"
    parent: str
    path: str
    found: str | None

    def message(self) -> str:
        return f"{self.path} does not declare the optimizer `{self.parent}`"

    def label(self) -> str:
        return f"it declares `{self.found}`" if self.found else "it declares no optimizer"


@dataclass(frozen=True)
class UsedFileHasStages(Diagnostic):
    """`use` takes rules and constants from a file that holds nothing else but `use` and `cite`. A file with an
    optimizer has an identity of its own and is extended instead.
    """

    code: ClassVar[str] = "M0107"
    path: str

    def message(self) -> str:
        return f'"{self.path}" declares more than rules and constants; only these can be used'

    def helps(self) -> tuple[str, ...]:
        return ("move what both need into a file of rules, or write `extends`",)


@dataclass(frozen=True)
class UnknownName(Diagnostic):
    """A name that nothing in reach declares. In a spec these are its hypers, constants and lets. In a rule they
    are its parameters, what it declares itself, and constants; the hypers of a spec reach a rule only as
    arguments. Everywhere: `update`, `gradient`, `parameter`, `previous`, `lr`, `step`, `rows`, `cols`, `fan_in`,
    `fan_out`, `numel`, and once the stage `scale` has run, `scale`.
    """

    code: ClassVar[str] = "M0201"
    name: str
    close: str | None = field(compare=False)

    def message(self) -> str:
        return f"unknown name `{self.name}`"

    def label(self) -> str:
        return "nothing of this name is in reach"

    def helps(self) -> tuple[str, ...]:
        return did_you_mean(self.close)


@dataclass(frozen=True)
class DuplicateName(Diagnostic):
    """A name is declared twice in one scope. Each name stands for one thing; a value is changed with `<-`."""

    code: ClassVar[str] = "M0202"
    name: str
    first: Span

    def message(self) -> str:
        return f"`{self.name}` is declared twice"

    def secondary(self) -> tuple[Label, ...]:
        return (Label(self.first, "declared here first"),)


@dataclass(frozen=True)
class UnknownRule(Diagnostic):
    """A stage names a rule that is neither in this file, nor in a file it uses, nor in the standard library.
    `muondsl list --rules` prints the standard library.
    """

    code: ClassVar[str] = "M0203"
    name: str
    close: str | None = field(compare=False)

    def message(self) -> str:
        return f"there is no rule `{self.name}`"

    def helps(self) -> tuple[str, ...]:
        return did_you_mean(self.close)


@dataclass(frozen=True)
class UnknownFunction(Diagnostic):
    """Expressions may call the functions of the language alone: `sqrt abs sign exp log tanh floor min max lerp`,
    the reductions `sum mean norm max min`, of matrices `svd identity trace solve_lower oriented quantile`, and for
    lists `take cycle last join range scaled polar_express cans`. Rules are not functions: a rule is used
    by a stage or as a statement.
    """

    code: ClassVar[str] = "M0204"
    name: str
    close: str | None = field(compare=False)
    is_rule: bool = field(default=False, compare=False)

    def message(self) -> str:
        return f"unknown function `{self.name}`"

    def label(self) -> str:
        return "a rule, and no function" if self.is_rule else ""

    def helps(self) -> tuple[str, ...]:
        if self.is_rule:
            return ("a rule stands after the name of a stage, or in a line of its own",)
        return did_you_mean(self.close)


@dataclass(frozen=True)
class UnknownDtype(Diagnostic):
    """The number formats are `bf16`, `fp16`, `fp32` and `fp64`: torch's bfloat16, float16, float32 and float64. A state
    without one has its parameter's.
    """

    code: ClassVar[str] = "M0205"
    name: str
    close: str | None = field(compare=False)

    def message(self) -> str:
        return f"`{self.name}` is not a number format"

    def label(self) -> str:
        return f"expected {listing(('bf16', 'fp16', 'fp32', 'fp64'))}"

    def helps(self) -> tuple[str, ...]:
        return did_you_mean(self.close)


@dataclass(frozen=True)
class ReservedName(Diagnostic):
    """Some names have a fixed meaning everywhere and cannot be declared again: `update`, `gradient`, `parameter`,
    `previous`, `step`, `rows`, `cols`, `fan_in`, `fan_out`, `numel`, the number formats, the functions, `inf`, `true`,
    `false`.
    """

    code: ClassVar[str] = "M0206"
    name: str

    def message(self) -> str:
        return f"`{self.name}` has a meaning of its own and cannot be declared"

    def label(self) -> str:
        return "choose another name"


@dataclass(frozen=True)
class UnusedName(Diagnostic):
    """Something is declared and never read. In a spec that is a mistake: a hyper that nothing reads would be
    accepted by the optimizer and do nothing.
    """

    code: ClassVar[str] = "M0207"
    kind: str
    name: str

    def message(self) -> str:
        return f"the {self.kind} `{self.name}` is never read"

    def helps(self) -> tuple[str, ...]:
        return ("remove it, or use it where it was meant to act",)


@dataclass(frozen=True)
class NotAssignable(Diagnostic):
    """`<-` changes states, tensors named by `let`, `update`, and where the stage allows it `parameter` and `scale`.
    Hypers, dimensions, the gradient, constants and parameters of rules keep their value.
    """

    code: ClassVar[str] = "M0208"
    name: str
    kind: str

    def message(self) -> str:
        return f"`{self.name}` is {self.kind} and cannot be changed"

    def helps(self) -> tuple[str, ...]:
        return ("give the new value a name of its own with `let`",)


@dataclass(frozen=True)
class PythonKeyword(Diagnostic):
    """Names of optimizers, hypers and states become Python names in the generated class. Not available to them are
    Python's own words, names that begin with `_` or `otherwise_`, and what the generated code calls its own things
    (`params`, `closure`, `route`, `torch`, `State`, …).
    """

    code: ClassVar[str] = "M0209"
    name: str

    def message(self) -> str:
        return f"`{self.name}` cannot be a name in the generated Python"

    def label(self) -> str:
        return "choose another name"


@dataclass(frozen=True)
class AmbiguousRule(Diagnostic):
    """Two rules or constants of one name are in reach, from this file, the files it uses, or the standard library.
    None hides another: a reader must be able to tell which one runs. Give one a different name.
    """

    code: ClassVar[str] = "M0210"
    name: str
    first: Span

    def message(self) -> str:
        return f"`{self.name}` is declared in more than one file in reach"

    def secondary(self) -> tuple[Label, ...]:
        return (Label(self.first, "declared here too"),)

    def helps(self) -> tuple[str, ...]:
        return ("give one of them another name",)


@dataclass(frozen=True)
class CircularDefinition(Diagnostic):
    """A constant or name is defined by itself, directly or through others, so it has no value."""

    code: ClassVar[str] = "M0211"
    names: tuple[str, ...]

    def message(self) -> str:
        return f"`{self.names[0]}` is defined by itself"

    def notes(self) -> tuple[str, ...]:
        return (" → ".join(self.names),)


@dataclass(frozen=True)
class BadExport(Diagnostic):
    """`export let` gives a name to a value for this stage and those behind it. It stands in the block of a stage, so
    that a reader of the spec sees where the name comes from: not in a rule, whose names are its own, and not in a loop,
    where each iteration has another value.
    """

    code: ClassVar[str] = "M0212"
    name: str
    inside: str

    def message(self) -> str:
        return f"`{self.name}` cannot be exported from {self.inside}"

    def helps(self) -> tuple[str, ...]:
        return ("write the block of the stage in the spec, with `export let` in it",)
