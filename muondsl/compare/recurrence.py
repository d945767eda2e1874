"""A stage that is linear: what its result holds of the updates that came in, by how long ago that was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from muondsl.compare.linear_form import Form, linear_forms
from muondsl.compare.probe_values import LATE, SHAPES, Hypers, symbol_values
from muondsl.ir import scalar as sc

if TYPE_CHECKING:
    from muondsl.compare.isolate import Isolated


@dataclass(frozen=True, slots=True)
class Recurrence:
    """s ← A s + b x, then u = c s + d x with the s before: s are the states, x the update that comes in, u the one that
    goes out. `forms` holds the new states and the new update; `begins_at_zero` tells whether all states do.
    """

    forms: dict[str, Form]
    states: tuple[str, ...]
    begins_at_zero: bool

    def symbols(self) -> list[sc.Symbol]:
        """The symbols in its coefficients, each once."""
        scalars = [each for form in self.forms.values() for each in form.values()]
        return list(dict.fromkeys(symbol for each in scalars for symbol in sc.symbols(each)))

    def coefficient(self, target: str, source: str, hypers: Hypers, step: int, shape: tuple[int, int]) -> float:
        scalar = self.forms[target].get(source, sc.ZERO)
        return float(sc.evaluate(scalar, symbol_values(hypers, shape, step)))

    def of_parameter(self, hypers: Hypers) -> float:
        """How many times the parameter is added to the update that comes in, or to the one that goes out."""
        targets = [name for name in self.forms if "parameter" in self.forms[name]]
        if not targets:
            return 0.0
        added, entering = (
            self.coefficient(targets[0], source, hypers, LATE, SHAPES[0]) for source in ("parameter", "update")
        )
        return added / entering if entering else added

    def response(self, hypers: Hypers, first: int, length: int, shape: tuple[int, int] = SHAPES[0]) -> list[float]:
        """What goes out, from the step `first` on, when a one comes in at that step and nothing before and after."""
        inside = [0.0] * len(self.states)
        found = []
        for step in range(first, first + length):
            entering = 1.0 if step == first else 0.0
            a, b, c, d = self.system(hypers, step, shape)
            found.append(sum(x * y for x, y in zip(c, inside, strict=True)) + d * entering)
            inside = [
                sum(x * y for x, y in zip(row, inside, strict=True)) + weight * entering
                for row, weight in zip(a, b, strict=True)
            ]
        return found

    def weights(self, hypers: Hypers, count: int, step: int = LATE, shape: tuple[int, int] = SHAPES[0]) -> list[float]:
        """What the result of a step holds of that step's update, of the one before, and so on."""
        return [self.response(hypers, step - age, age + 1, shape)[age] for age in range(count)]

    def system(
        self, hypers: Hypers, step: int, shape: tuple[int, int] = SHAPES[0]
    ) -> tuple[list[list[float]], list[float], list[float], float]:
        """A, b, c, d."""

        def at(target: str, source: str) -> float:
            return self.coefficient(target, source, hypers, step, shape)

        a = [[at(target, source) for source in self.states] for target in self.states]
        b = [at(target, "update") for target in self.states]
        return a, b, [at("update", source) for source in self.states], at("update", "update")

    def gain(self, hypers: Hypers, shape: tuple[int, int] = SHAPES[0]) -> float | None:
        """What becomes of a constant update in the end, d + c (I − A)⁻¹ b; None where it grows for ever."""
        a, b, c, d = self.system(hypers, LATE, shape)
        rows = [[(1.0 if i == j else 0.0) - a[i][j] for j in range(len(a))] + [b[i]] for i in range(len(a))]
        rest = _solved(rows)
        return None if rest is None else d + sum(x * y for x, y in zip(c, rest, strict=True))


def recurrence(isolated: Isolated) -> Recurrence | None:
    """The stage as a recurrence of its states, the update and the parameter; None where it is none."""
    forms = linear_forms(isolated.program)
    chosen: dict[str, Form] = {}
    for name in (*isolated.kept, "update"):
        form = forms[name]
        if form is None or not set(form) <= {*isolated.kept, "update", "parameter"}:
            return None
        chosen[name] = form
    begins_at_zero = all(state.initial == sc.ZERO for state in isolated.states)
    return Recurrence(chosen, isolated.kept, begins_at_zero)


def _solved(rows: list[list[float]]) -> list[float] | None:
    """The solution of linear equations, each row with its right side behind it; None where there is not one."""
    size = len(rows)
    for i in range(size):
        pivot = max(range(i, size), key=lambda row: abs(rows[row][i]))
        rows[i], rows[pivot] = rows[pivot], rows[i]
        if abs(rows[i][i]) < 1e-15:
            return None
        rows[i] = [each / rows[i][i] for each in rows[i]]
        for j in range(size):
            if j != i:
                rows[j] = [x - rows[j][i] * y for x, y in zip(rows[j], rows[i], strict=True)]
    return [row[-1] for row in rows]
