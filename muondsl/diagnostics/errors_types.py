"""M03xx: kinds of values, dimensions, lists."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from muondsl.diagnostics.diagnostic import Diagnostic, closest, did_you_mean, listing

AXES = ("rows", "cols", "short", "long", "first", "last")


@dataclass(frozen=True)
class DimensionMismatch(Diagnostic):
    """Elementwise operators need operands of equal dimensions, or dimensions that are 1, along which a value is
    repeated. `rows` and `cols` are different dimensions even where a matrix happens to be square.
    """

    code: ClassVar[str] = "M0301"
    operation: str
    left: str
    right: str
    is_product: bool

    def message(self) -> str:
        return f"`{self.operation}` cannot combine {self.left} with {self.right}"

    def label(self) -> str:
        return "dimensions differ"

    def helps(self) -> tuple[str, ...]:
        return ("the product of matrices is written `@`",) if self.is_product else ()


@dataclass(frozen=True)
class InnerDimensionMismatch(Diagnostic):
    """`a @ b` needs as many columns in `a` as rows in `b`. `x'` is the transpose of `x`."""

    code: ClassVar[str] = "M0302"
    left: str
    right: str
    is_repaired_by_transpose: bool

    def message(self) -> str:
        return f"cannot multiply {self.left} by {self.right}"

    def label(self) -> str:
        return "inner dimensions differ"

    def helps(self) -> tuple[str, ...]:
        return ("a transpose `'` may be missing",) if self.is_repaired_by_transpose else ()


@dataclass(frozen=True)
class ExpectedScalar(Diagnostic):
    """A number known before the step's work begins is needed here: a literal, a hyper, `step`, a dimension, or
    arithmetic of these. A reduction of a tensor is itself a tensor, of dimensions [1, 1].
    """

    code: ClassVar[str] = "M0303"
    found: str
    purpose: str

    def message(self) -> str:
        return f"{self.purpose} must be a scalar"

    def label(self) -> str:
        return f"this is {self.found}"

    def notes(self) -> tuple[str, ...]:
        is_number = self.found == "a [1, 1] tensor"
        return ("a reduction is a tensor: its value is not known before the step",) if is_number else ()


@dataclass(frozen=True)
class ExpectedTensor(Diagnostic):
    """A tensor is needed here: `update`, `gradient`, `parameter`, a state, or what is computed from them."""

    code: ClassVar[str] = "M0304"
    found: str
    purpose: str

    def message(self) -> str:
        return f"{self.purpose} must be a tensor"

    def label(self) -> str:
        return f"this is {self.found}"


@dataclass(frozen=True)
class ExpectedList(Diagnostic):
    """A list known at compile time is needed here: `[…]`, `(…, …)`, a constant that is one, or what a function of
    lists yields, such as `take(list, n)` and `range(n)`.
    """

    code: ClassVar[str] = "M0305"
    found: str
    purpose: str

    def message(self) -> str:
        return f"{self.purpose} must be a list"

    def label(self) -> str:
        return f"this is {self.found}"

    def helps(self) -> tuple[str, ...]:
        return ("the numbers 0, 1, … are written `range(count)`",) if self.found == "a scalar" else ()


@dataclass(frozen=True)
class AssignmentChangesDimensions(Diagnostic):
    """`<-` gives a variable a new value of the dimensions it has. A value of other dimensions gets a name of its
    own with `let`.
    """

    code: ClassVar[str] = "M0306"
    name: str
    declared: str
    found: str

    def message(self) -> str:
        return f"`{self.name}` is {self.declared} and cannot become {self.found}"


@dataclass(frozen=True)
class BadReductionAxis(Diagnostic):
    """`over` names the dimension that is summed away: `mean(x, over = cols)` leaves one number a row. It may be
    `rows`, `cols`, `short` (the shorter one; `cols` of a square matrix) or `long`, and the tensor must have it; or
    `first` or `last`, whatever that dimension of the tensor is.
    """

    code: ClassVar[str] = "M0307"
    axis: str
    tensor: str

    def message(self) -> str:
        return f"{self.tensor} cannot be reduced over `{self.axis}`"

    def label(self) -> str:
        return "it has no such dimension" if self.axis in AXES else f"expected {listing(AXES)}"

    def helps(self) -> tuple[str, ...]:
        return () if self.axis in AXES else did_you_mean(closest(self.axis, AXES))


@dataclass(frozen=True)
class ExpectedCondition(Diagnostic):
    """`if`, `and`, `or` and `not` take conditions: comparisons, `true`, `false`."""

    code: ClassVar[str] = "M0308"
    found: str

    def message(self) -> str:
        return "a condition is needed here"

    def label(self) -> str:
        return f"this is {self.found}"

    def helps(self) -> tuple[str, ...]:
        return ("compare it with something, as in `x > 0`",)


@dataclass(frozen=True)
class ConditionAsNumber(Diagnostic):
    """A comparison is a condition, not a number. Write `if x > 0 then 1 else 0` where a number is meant."""

    code: ClassVar[str] = "M0309"

    def message(self) -> str:
        return "a condition cannot be used as a number"

    def helps(self) -> tuple[str, ...]:
        return ("write `if … then 1 else 0`",)


@dataclass(frozen=True)
class NotCompileTime(Diagnostic):
    """A value is needed while compiling: lengths of loops, table sizes, indices, defaults. Hypers, `step` and
    dimensions have their values later.
    """

    code: ClassVar[str] = "M0310"
    purpose: str

    def message(self) -> str:
        return f"{self.purpose} must be known at compile time"

    def label(self) -> str:
        return "depends on a hyper, the step or the shape"


@dataclass(frozen=True)
class BadStateShape(Diagnostic):
    """The shape of a state is `[rows, cols]` (which need not be written), `[rows, 1]`, `[1, cols]`, `[1, 1]`, or
    `[long]` or `[short]`: one number for each index of the longer or shorter dimension.
    """

    code: ClassVar[str] = "M0311"
    text: str

    def message(self) -> str:
        return f"`[{self.text}]` is not the shape of a state"

    def helps(self) -> tuple[str, ...]:
        return ("write `[rows, 1]`, `[1, cols]`, `[1, 1]`, `[long]` or `[short]`",)


@dataclass(frozen=True)
class BadInitialValue(Diagnostic):
    """A state begins as `zeros`, `ones`, a number, or for one of the parameter's shape as `gradient` (that of the
    first step) or `parameter`.
    """

    code: ClassVar[str] = "M0312"

    def message(self) -> str:
        return "a state cannot begin with this value"

    def label(self) -> str:
        return f"expected a number, {listing(('zeros', 'ones', 'gradient', 'parameter'))}"


@dataclass(frozen=True)
class MatrixOperationInOtherwise(Diagnostic):
    """`otherwise` handles parameters of any number of dimensions, so it can work elementwise and reduce whole
    tensors, but has no rows and columns: no `@`, no `'`, no `over`, no `rows` and `cols`.
    """

    code: ClassVar[str] = "M0313"
    operation: str

    def message(self) -> str:
        return f"`{self.operation}` has no meaning in `otherwise`"

    def label(self) -> str:
        return "parameters here need not be matrices"


@dataclass(frozen=True)
class BranchesDiffer(Diagnostic):
    """Both branches of `if` must be of one kind: both conditions, or both numbers. Where the condition is a scalar,
    numbers are both scalars or both tensors of the same dimensions; where it is a tensor, all broadcast.
    """

    code: ClassVar[str] = "M0314"
    then: str
    otherwise: str

    def message(self) -> str:
        return f"the branches differ: {self.then} and {self.otherwise}"


@dataclass(frozen=True)
class WrongTupleLength(Diagnostic):
    """As many names as the tuple has items are needed to take it apart. In a loop every item must have them."""

    code: ClassVar[str] = "M0315"
    names: int
    items: int

    def message(self) -> str:
        names = f"{self.names} name{'s' if self.names > 1 else ''}"
        return f"there are {names} for {self.items} item{'s' if self.items != 1 else ''}"


@dataclass(frozen=True)
class IndexOutOfRange(Diagnostic):
    """Items of a list are counted from zero: the last one of `n` has the index `n - 1`."""

    code: ClassVar[str] = "M0316"
    index: int
    length: int

    def message(self) -> str:
        return f"there is no item {self.index} in a list of {self.length}"

    def label(self) -> str:
        return f"the last item is {self.length - 1}" if self.length else "the list is empty"


@dataclass(frozen=True)
class UndefinedArithmetic(Diagnostic):
    """The value of this expression can be computed while compiling, and is not a finite number: a division by
    zero, the root of a negative number, an overflow.
    """

    code: ClassVar[str] = "M0317"
    text: str

    def message(self) -> str:
        return f"`{self.text}` is not a finite number"


@dataclass(frozen=True)
class WrongArgumentCount(Diagnostic):
    """A function is called with too many or too few arguments, or with a name it does not know."""

    code: ClassVar[str] = "M0318"
    function: str
    usage: str

    def message(self) -> str:
        return f"`{self.function}` is not called like this"

    def label(self) -> str:
        return f"expected `{self.usage}`"


@dataclass(frozen=True)
class WrongKind(Diagnostic):
    """A value of this kind cannot stand here: a list in arithmetic, a text in an expression, a number format where
    a number is needed.
    """

    code: ClassVar[str] = "M0319"
    found: str
    operation: str

    def message(self) -> str:
        return f"`{self.operation}` does not take {self.found}"


@dataclass(frozen=True)
class NotAMatrix(Diagnostic):
    """`@` multiplies matrices; a product with a number is written `*`."""

    code: ClassVar[str] = "M0320"
    found: str

    def message(self) -> str:
        return "`@` takes two tensors"

    def label(self) -> str:
        return f"this is {self.found}"

    def helps(self) -> tuple[str, ...]:
        return ("write `*` for a product with a number",)


@dataclass(frozen=True)
class ExpectedCount(Diagnostic):
    """A whole number that is not negative is needed here: the length of a list, or the place of an item, counted
    from zero. Nothing is counted from the end.
    """

    code: ClassVar[str] = "M0321"
    found: str
    purpose: str

    def message(self) -> str:
        return f"{self.purpose} must be a whole number that is not negative"

    def label(self) -> str:
        return f"this is {self.found}"
