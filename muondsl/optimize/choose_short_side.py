"""Runs odd polynomial iterations on the shorter side: p(xx')x = x p(x'x), so x may be transposed first.

    %s = matmul %x, %x'           %o = orient %x              rows > cols: transposed
    %y = matmul %s, %x       →    %s = matmul %o, %o'         [short, short]
    %u = f %y                     %z = matmul %s, %o
                                  %y = orient %z
                                  %u = f %y

A value belongs to the iteration of a root r when it is q(rr')r or q(rr') for some polynomial q. All of these commute,
which is what makes the identity hold; anything else (an elementwise function, a row sum, a rounding) is a new root.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from muondsl.ir import program as ir
from muondsl.ir.rewrite import with_operands, with_results
from muondsl.ir.types import MATRIX, ROWS, SCALAR, SHORT, Dims, Type

if TYPE_CHECKING:
    from collections.abc import Iterator

GRAM = Dims(ROWS, ROWS)
SHORT_GRAM = Dims(SHORT, SHORT)


def choose_short_side(program: ir.Program) -> ir.Program:
    if program.route == "otherwise":
        return program
    members = _members(program)
    roots = {member.root for member in members.values() if member.kind == "even"} - set(_escaping(program, members))
    inside = {value: member for value, member in members.items() if member.root in roots}
    return _Rewrite(program, inside, roots).run() if roots else program


@dataclass(frozen=True)
class _Member:
    """`odd`: q(rr')r; `flipped`: its transpose; `even`: q(rr')."""

    root: ir.Value
    kind: str


def _escaping(program: ir.Program, members: dict[ir.Value, _Member]) -> Iterator[ir.Value]:
    """Roots of which some q(rr') is read as a matrix of its own: on the other side it would be another matrix."""
    for definition in program.definitions:
        match definition.operation:
            case ir.Reduce("norm", _, None):  # the same on both sides
                continue
        for value in ir.operands(definition.operation):
            member, reader = members.get(value), members.get(definition.value)
            is_inside = member and reader and member.root == reader.root
            if member and member.kind == "even" and not is_inside:
                yield member.root


def _members(program: ir.Program) -> dict[ir.Value, _Member]:
    members: dict[ir.Value, _Member] = {}
    types = {definition.value: definition.type for definition in program.definitions}
    for definition in program.definitions:
        member = _member(definition.operation, members, types)
        if member is None and definition.type.dims == MATRIX and not definition.type.dtype.is_mask:
            member = _Member(definition.value, "odd")
        if member is not None:
            members[definition.value] = member
    return members


def _member(operation: ir.Operation, members: dict[ir.Value, _Member], types: dict[ir.Value, Type]) -> _Member | None:
    read = [members.get(value) for value in ir.operands(operation) if types[value].dims != SCALAR]
    if not read or any(member is None or member.root != read[0].root for member in read if read[0]):
        return None
    first = read[0]
    if first is None:
        return None
    kinds = [member.kind for member in read if member]
    match operation:
        case ir.Transpose():
            kind = {"odd": "flipped", "flipped": "odd", "even": "even"}[kinds[0]]
        case ir.MatMul():
            products = {"odd flipped": "even", "even even": "even", "even odd": "odd"}
            kind = products.get(" ".join(kinds), "")
        case ir.Map("+" | "-", parts):
            is_sum = all(isinstance(part, str) and types[part].dims != SCALAR for part in parts)
            kind = kinds[0] if is_sum and len(set(kinds)) == 1 else ""
        case ir.Map("*", parts) if len(kinds) == 1:
            kind = kinds[0]
        case ir.Map("/", (str() as numerator, _)) if len(kinds) == 1 and types[numerator].dims != SCALAR:
            kind = kinds[0]
        case _:
            kind = ""
    return _Member(first.root, kind) if kind else None


@dataclass
class _Rewrite:
    program: ir.Program
    members: dict[ir.Value, _Member]
    roots: set[ir.Value]
    definitions: list[ir.Definition] = field(default_factory=list)
    oriented: dict[ir.Value, ir.Value] = field(default_factory=dict)
    plain: dict[ir.Value, ir.Value] = field(default_factory=dict)
    names: Counter[str] = field(default_factory=Counter)
    origin: ir.Origin = field(default_factory=lambda: ir.Origin("", ""))

    def run(self) -> ir.Program:
        for definition in self.program.definitions:
            self._definition(definition)
        results = {result.value: self._plain(result.value) for result in self.program.results}
        return replace(self.program, definitions=tuple(self.definitions), results=with_results(self.program, results))

    def _definition(self, definition: ir.Definition) -> None:
        self.origin = definition.origin
        is_inside = definition.value in self.members and definition.value not in self.roots
        is_whole_reduction = isinstance(definition.operation, ir.Reduce) and definition.operation.axis is None
        read = ir.operands(definition.operation)
        place = self._oriented if is_inside or is_whole_reduction else self._plain
        operation = with_operands(definition.operation, {value: place(value) for value in read})
        if is_inside:
            kind = Type(_turned(definition.type.dims), definition.type.dtype)
            self.definitions.append(replace(definition, operation=operation, type=kind))
            self.oriented[definition.value] = definition.value
        else:
            self.definitions.append(replace(definition, operation=operation))

    def _oriented(self, value: ir.Value) -> ir.Value:
        """The value as the iteration has it: turned where it is a root."""
        if value not in self.members:
            return value
        if value not in self.oriented:
            self.oriented[value] = self._orient(value)
        return self.oriented[value]

    def _plain(self, value: ir.Value) -> ir.Value:
        """The value as the spec writes it: turned back where it is inside an iteration."""
        if value not in self.members or value in self.roots or self.members[value].kind == "even":
            return value
        if value not in self.plain:
            self.plain[value] = self._orient(value, "update")
        return self.plain[value]

    def _orient(self, value: ir.Value, spec_name: str | None = None) -> ir.Value:
        source = next(definition for definition in self.definitions if definition.value == value)
        self.names["oriented"] += 1
        name = f"oriented.{self.names['oriented']}"
        kind = Type(source.type.dims.oriented, source.type.dtype)
        inside = source.origin if source.origin.stage else self.origin
        origin = replace(inside, place="", loop=None, iteration=0)
        self.definitions.append(ir.Definition(name, ir.Orient(value), kind, origin, spec_name))
        return name


def _turned(dims: Dims) -> Dims:
    return SHORT_GRAM if dims == GRAM else dims.oriented
