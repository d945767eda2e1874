"""Names of kernels, buffers and scalars of a launch plan: the spec's own, with a number only on a clash."""

from __future__ import annotations

from typing import TYPE_CHECKING

from muondsl.ir import program as ir
from muondsl.ir import scalar as sc
from muondsl.ir.reserved import KEYWORDS, LOCALS
from muondsl.schedule.choose_names import wished_name
from muondsl.schedule.launches import Elementwise

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Sequence

    from muondsl.schedule.launches import Launch

WORDS = {"+": "plus", "-": "minus", "*": "times", "/": "over", "**": "to", "sqrt": "root"}
SMALLEST, LARGEST = 2.0**-126, 3.4028234663852886e38
"""Between these a literal is a normal number of fp32."""


class Names:
    """Hands out names, each once."""

    def __init__(self, program: ir.Program) -> None:
        self.program = program
        self.tensors = LOCALS | KEYWORDS | {state.name for state in program.states} | {"parameter", "gradient"}
        self.buffers: set[str] = set()
        self.kernels = {"scalars"}
        self.given = dict(_given_names(program))

    def buffer(self, definition: ir.Definition) -> str:
        return self._tensor(self.given.get(definition.value) or wished_name(definition, self.program.definitions))

    def parts(self, definition: ir.Definition) -> str:
        """The buffer of a reduction's partial results."""
        return self._tensor(f"{wished_name(definition, self.program.definitions)}_parts")

    def kernel(self, roots: Sequence[tuple[ir.Definition, str]], domain: str) -> str:
        """What a kernel does: `apply` for what writes the parameter, the rule whose state it writes, or its value."""
        states = {state.name for state in self.program.states}
        targets = {tensor: definition for definition, tensor in roots}
        if "parameter" in targets:
            is_matrix = self.program.route == "matrix"
            wish = "apply" if is_matrix else self._rule_of_state(states, targets["parameter"])
        elif domain == "tiles" and states & set(targets):
            first = next(definition for tensor, definition in targets.items() if tensor in states)
            wish = first.origin.rule
        else:
            wish = next(iter(targets)).removesuffix("_parts")
        if self.program.route == "matrix" and wish.startswith("otherwise"):
            wish = f"matrix_{wish}"  # names of the other route's kernels begin so
        return free_name(wish, self.kernels)

    def _rule_of_state(self, states: set[str], stored: ir.Definition) -> str:
        rules = [each.origin.rule for each in self.program.definitions if each.origin.stage not in ("", "apply")]
        return rules[-1] if rules else stored.origin.rule

    def _tensor(self, wish: str) -> str:
        return free_name(wish, self.buffers, self.tensors)

    def scalars(self, launches: Iterable[Launch]) -> tuple[tuple[str, sc.Scalar], ...]:
        """A name for every scalar that kernels read and that is no literal, in the order of their use."""
        found: dict[sc.Scalar, str] = {}
        taken: set[str] = set()
        for launch in launches:
            for definition in launch.body if isinstance(launch, Elementwise) else ():
                for scalar in ir.scalars(definition.operation):
                    if not is_written_out(scalar) and scalar not in found:
                        found[scalar] = free_name(_words(scalar), taken)
        return tuple((name, scalar) for scalar, name in found.items())


def is_written_out(scalar: sc.Scalar) -> bool:
    """Whether a kernel has the scalar as a literal: a number that fp32 holds, or a truth value."""
    match scalar:
        case sc.Flag():
            return True
        case sc.Number(text):
            return float(text) == 0 or SMALLEST <= abs(float(text)) <= LARGEST
        case sc.Named(_, value, is_coefficient):
            return is_coefficient and is_written_out(value)
        case sc.Call("-", (sc.Number() as number,)):
            return is_written_out(number)
        case _:
            return False


def _given_names(program: ir.Program) -> Iterator[tuple[ir.Value, str]]:
    """Names of what the spec does not name, or names like its source."""
    table = program.table()
    for definition in program.definitions:
        if isinstance(definition.operation, ir.Quintic):
            yield definition.value, "orthogonalized"
            divisor = definition.operation.divisor
            if divisor and table[divisor].name is None:
                yield divisor, "divisor"


def free_name(wish: str, taken: set[str], reserved: Container[str] = ()) -> str:
    """The wish, with a number if it must be, entered among what is taken."""
    name, number = wish, 1
    while name in taken or name in reserved:
        number += 1
        name = f"{wish}_{number}"
    taken.add(name)
    return name


def _words(scalar: sc.Scalar) -> str:
    """`one_minus_momentum` for `1 - momentum`, `lr_scale` for `lr * scale`; `factor` for what is longer."""
    words = _spelled(scalar)
    return words if words and len(words) <= 40 else "factor"


def _spelled(scalar: sc.Scalar) -> str:
    match scalar:
        case sc.Named(name, _):
            return name
        case sc.Symbol(name, _, index):
            return name if index is None else f"{name}{index}"
        case sc.Number("1"):
            return "one"
        case sc.Call("-", (operand,)):
            return _joined("minus", operand)
        case sc.Call("-", (left, right)):
            return _joined(_spelled(left), "minus", right)
        case sc.Call("*", (left, right)):
            return _joined(_spelled(left), right)
        case sc.Call("/", (left, right)):
            return _joined(_spelled(left), "over", right)
        case sc.Call("sqrt" | "min" | "max" as function, arguments):
            return "_".join([WORDS.get(function, function), *(_spelled(each) for each in arguments)])
        case _:
            return ""


def _joined(*parts: str | sc.Scalar) -> str:
    words = [part if isinstance(part, str) else _spelled(part) for part in parts]
    return "_".join(words) if all(words) else ""
