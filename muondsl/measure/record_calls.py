"""The operations of a step, one by one: how long each takes, what it does, and which statement of the spec calls it.

What neither reads nor writes elements is no operation here but part of the time between them: views, new memory.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from types import CodeType, FrameType, FunctionType
from typing import Any

from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode

from muondsl.emit.files import Provenance
from muondsl.measure.work import Work, work_of
from muondsl.runtime.forms import Operation
from muondsl.runtime.torch_iteration import iterated

BETWEEN = "between"
"""The part of an iteration that is not products: conversions, copies, sums on a diagonal."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an operation is called: a stage of the spec, a formula in it, and of an iteration the kind of the product,
    or BETWEEN. `line` is the first of the formula in the generated module.
    """

    stage: str
    text: str
    line: int = 0
    part: str = ""


AROUND = Place("around the spec", "States, formats, stacks, the count of steps.")
"""What is called by no statement of the generated functions."""


@dataclass(frozen=True, slots=True)
class Call:
    """One operation of torch."""

    place: Place
    operator: str
    seconds: float
    work: Work


Lines = Mapping[CodeType, Mapping[int, Place]]
"""For the functions of a generated module the places of their lines."""


def lines_of(text: str, provenance: Mapping[str, Sequence[Provenance]], functions: Mapping[str, FunctionType]) -> Lines:
    """The places of the lines in a generated module, whose functions are given by their names."""
    found: dict[CodeType, dict[int, Place]] = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef) and node.name in provenance:
            known = provenance[node.name]
            statements = [part for each in node.body for part in (each.body if isinstance(each, ast.For) else [each])]
            first: dict[tuple[str, str], int] = {}
            found[functions[node.name].__code__] = {
                line: Place(each.stage, each.text, first.setdefault((each.stage, each.text), statement.lineno))
                for statement, each in zip(statements[len(statements) - len(known) :], known, strict=True)
                for line in range(statement.lineno, (statement.end_lineno or statement.lineno) + 1)
            }
    return found


class Recorder(TorchDispatchMode):
    """Keeps each operation that this thread calls while it is entered. `own_seconds` are those that this takes."""

    def __init__(self, lines: Lines) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.lines = lines
        self.calls: list[Call] = []
        self.own_seconds = 0.0

    def __torch_dispatch__(
        self, func: OpOverload, types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        begin = perf_counter()
        result = func(*args, **(kwargs or {}))
        end = perf_counter()
        work = work_of(func, args, kwargs or {}, result)
        if work.bytes:
            place = self._place(sys._getframe(1), is_product=work.dtype is not None)
            self.calls.append(Call(place, func.overloadpacket.__name__, end - begin, work))
        self.own_seconds += perf_counter() - end
        return result

    def _place(self, frame: FrameType | None, *, is_product: bool) -> Place:
        kind, is_iterated = "product", False
        while frame is not None:
            code = frame.f_code
            if code in self.lines:
                place = self.lines[code].get(frame.f_lineno, AROUND)
                return replace(place, part=kind if is_product else BETWEEN) if is_iterated else place
            is_iterated = is_iterated or code is iterated.__code__
            if is_product and kind == "product" and "operation" in code.co_varnames:
                operation = frame.f_locals.get("operation")
                kind = operation.kind if isinstance(operation, Operation) else kind
            frame = frame.f_back
        return AROUND
