"""A tensor program in, what a GPU launches for one step out: one launch for all matrices wherever values allow.

Elementwise work goes together as in `group_kernels.py`. In a group, kernels differ by what they run over: tiles of a
matrix, a vector, a number. A value that a later kernel needs is stored for it, or computed again where that reads no
more than one matrix. States and the parameter are written where their new value is known. Where it then shows that a
later kernel needs the old one, the plan is made again, and the new value waits in a buffer until the end.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from muondsl.ir import program as ir
from muondsl.ir import scalar as sc
from muondsl.ir.types import MATRIX, ONE, SCALAR, Dims
from muondsl.optimize.collect_iterations import literal
from muondsl.schedule.choose_form import choose_form
from muondsl.schedule.choose_names import host_scalars
from muondsl.schedule.group_kernels import group_kernels, is_product, is_view
from muondsl.schedule.launches import (
    Access,
    Domain,
    Elementwise,
    Iterate,
    Launch,
    LaunchPlan,
    Operand,
    Partial,
    Product,
    Walk,
)
from muondsl.schedule.name_launches import Names
from muondsl.schedule.obstacles import obstacle
from muondsl.schedule.places import ORIENTED, Places, form_of, is_square, is_uniform
from muondsl.schedule.symmetry import symmetric_products

if TYPE_CHECKING:
    from collections.abc import Iterator


class NotPlanned(Exception):  # noqa: N818
    """What keeps a program from the GPU, in words."""


class _Gone(Exception):  # noqa: N818
    """A value that a kernel needs when no tensor holds it any more."""

    def __init__(self, value: ir.Value) -> None:
        super().__init__(value)
        self.value = value


def plan_launches(program: ir.Program, *, is_faithful: bool) -> LaunchPlan:
    """The launches of one route; `is_faithful` keeps iterations in the form in which they are written. Raises
    NotPlanned for a program that computes in fp64, or with matrices that kernels have no form for.
    """
    for definition in program.definitions:
        if reason := obstacle(definition, program):
            raise NotPlanned(reason)
    lasting: frozenset[ir.Value] = frozenset()
    while True:
        try:
            return _Planning(program, is_faithful, lasting).run()
        except _Gone as gone:
            if gone.value in lasting:
                raise NotPlanned(f"`{gone}` would have to be kept beside what takes its place") from None
            lasting |= {gone.value}


@dataclass(frozen=True)
class _Root:
    """A value that a kernel is for: `tensor` takes it, or its partial results."""

    definition: ir.Definition
    tensor: str
    is_partial: bool = False


Key = tuple[Domain, Dims]
DOMAINS: tuple[Domain, ...] = ("number", "vector", "flat", "tiles")
"""The order of the kernels of a group."""


@dataclass
class _Planning:
    """One attempt. What is in `lasting` is kept to the end of the step."""

    program: ir.Program
    is_faithful: bool
    lasting: frozenset[ir.Value]
    launches: list[Launch] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.table = self.program.table()
        self.groups = group_kernels(self.program)
        self.group_of = {each.value: place for place, group in enumerate(self.groups) for each in group}
        self.readers = _readers(self.program)
        self.symmetric = symmetric_products(self.program)
        self.names = Names(self.program)
        self.places = Places(self.program, self.names)
        self.waiting = {result.target: result.value for result in self.program.results}
        self.wanted: dict[ir.Value, dict[Dims, None]] = defaultdict(dict)
        for definition in filter(is_product, self.program.definitions):
            for value, form in _factors(definition, self.table):
                self.wanted[self.places.behind(value)[0]][form] = None

    def run(self) -> LaunchPlan:
        for place, group in enumerate(self.groups):
            product = next((each for each in group if is_product(each)), None)
            if product is not None:
                self._product(product)
            else:
                self._elementwise(group, place)
        self._finish()
        return LaunchPlan(
            self.program,
            host_scalars(self.program),
            self.names.scalars(self.launches),
            tuple(self.places.buffers),
            tuple(self.launches),
        )

    # Products

    def _product(self, definition: ir.Definition) -> None:
        operation = definition.operation
        if isinstance(operation, ir.Quintic):
            self._iterate(definition, operation)
            return
        assert isinstance(operation, ir.MatMul | ir.Gemm)
        form = form_of(definition.type.dims)
        left, right = self._operand(operation.left), self._operand(operation.right)
        if form != definition.type.dims:
            left, right = _transposed(right), _transposed(left)
        addend, alpha, beta = None, 1.0, 0.0
        if isinstance(operation, ir.Gemm):
            addend = self._addend(operation.addend, form)
            alpha, beta = _number(operation.alpha), _number(operation.beta)
        result = self.places.new_buffer(definition)
        is_symmetric = definition.value in self.symmetric
        self.launches.append(Product(definition, left, right, addend, alpha, beta, result, is_symmetric))
        self.places.put(definition.value, result)

    def _iterate(self, definition: ir.Definition, quintic: ir.Quintic) -> None:
        """A polynomial of x xᵀ times x is that of xᵀ x, transposed: what is iterated is as wide as long."""
        source = self._given_up(quintic.operand, definition)
        divisor = self._workspace(quintic.divisor, SCALAR) if quintic.divisor else None
        result = self.places.new_buffer(definition, ORIENTED)
        gram = None if self.is_faithful else choose_form(definition.type.dtype.fixed, len(quintic.coefficients))
        folds_diagonal = not self.is_faithful
        self.launches.append(Iterate(definition, quintic, source, divisor, result, gram, folds_diagonal))
        self.places.put(definition.value, result)

    def _operand(self, value: ir.Value) -> Operand:
        dims = self.table[value].type.dims
        form = form_of(dims)
        base, is_transposed = self.places.behind(value)
        return Operand(self._workspace(base, form), is_transposed if is_square(dims) else form != dims)

    def _addend(self, value: ir.Value, form: Dims) -> str:
        """The buffer of an addend, which a product takes as it lies."""
        base, is_transposed = self.places.behind(value)
        return self._workspace(value if is_square(form) and is_transposed else base, form)

    def _workspace(self, value: ir.Value, form: Dims) -> str:
        """The buffer in which a product finds the value."""
        found = self.places.buffer_of(value, form)
        return found if found is not None else self._stored(value, form)

    def _stored(self, value: ir.Value, form: Dims) -> str:
        """A new buffer with the value, and the kernel that stores it."""
        definition = self.table[value]
        name = self.places.new_buffer(definition, form)
        self._launch(_key(definition.type.dims, self.program), [_Root(definition, name)])
        return name

    def _given_up(self, value: ir.Value, iteration: ir.Definition) -> str:
        """A buffer that the iteration may write over: that of the value, or a copy if something reads it afterwards."""
        base, _ = self.places.behind(value)
        name = self._workspace(base, ORIENTED)
        place = self.group_of[iteration.value]
        is_only_place = len(self.places.held[base]) == 1
        is_read = is_only_place and any(self.group_of[each] > place for each in self._all_readers(base))
        if is_read or (base in self.lasting and not isinstance(self.table[base].operation, ir.Input)):
            name = self._stored(base, ORIENTED)
        self.places.forget(name)
        return name

    # Elementwise work

    def _elementwise(self, group: list[ir.Definition], place: int) -> None:
        roots: dict[Key, list[_Root]] = {}
        for definition in group:
            for key, root in self._roots(definition, place):
                roots.setdefault(key, []).append(root)
        self._launch_all(roots)

    def _launch_all(self, roots: dict[Key, list[_Root]]) -> None:
        for key in sorted(roots, key=lambda key: DOMAINS.index(key[0])):
            for chosen in _by_axis(key, roots[key]):
                self._launch(key, chosen)

    def _roots(self, definition: ir.Definition, place: int) -> Iterator[tuple[Key, _Root]]:
        key = _key(definition.type.dims, self.program)
        operation = definition.operation
        if isinstance(operation, ir.Reduce):
            parts = self.places.new_parts(definition, operation)
            yield _key(self.table[operation.operand].type.dims, self.program), _Root(definition, parts, is_partial=True)
            return
        targets = [target for target, value in self.waiting.items() if value == definition.value]
        stored = [target for target in targets if self.places.inputs[target] not in self.lasting]
        for target in stored:
            yield key, _Root(definition, target)
        forms = [*self.wanted.get(definition.value, ())]
        is_waiting = len(stored) < len(targets)
        if not forms and (is_waiting or (not stored and self._is_worth_storing(definition, place))):
            forms = [form_of(definition.type.dims)]
        for form in forms:
            yield key, _Root(definition, self.places.new_buffer(definition, form))

    def _all_readers(self, value: ir.Value) -> Iterator[ir.Value]:
        for reader in self.readers.get(value, ()):
            yield reader
            if is_view(self.table[reader]):
                yield from self._all_readers(reader)

    def _is_worth_storing(self, definition: ir.Definition, place: int) -> bool:
        """Whether later kernels read the value, and could compute it again only from what is gone, or from several
        matrices.
        """
        if is_view(definition) or not is_uniform(definition.type.dims):
            return False
        later = [
            self.group_of[reader]
            for reader in self._all_readers(definition.value)
            if self.group_of[reader] > place and not is_product(self.table[reader])
        ]
        if not later:
            return False
        sources = self._sources(definition, max(later))
        if sources is None:
            return True
        return len({source for source in sources if self.table[source].type.dims.is_matrix}) > 1

    def _sources(self, definition: ir.Definition, place: int) -> set[ir.Value] | None:
        """What the value is computed from by a kernel of a later group, or None where something of it is gone then."""
        found: set[ir.Value] = set()
        for value in ir.operands(definition.operation):
            source = self.table[value]
            operation = source.operation
            if isinstance(operation, ir.Input):
                if value not in self.lasting and self._overwritten_in(operation.name) < place:
                    return None
                found.add(value)
            elif self._is_held_behind(source):
                found.add(value)
            else:
                inner = self._sources(source, place)
                if inner is None:
                    return None
                found |= inner
        return found

    def _overwritten_in(self, target: str) -> int:
        value = next((result.value for result in self.program.results if result.target == target), None)
        if value is None or is_product(self.table[value]):
            return len(self.groups)
        return self.group_of.get(value, len(self.groups))

    def _is_held_behind(self, definition: ir.Definition) -> bool:
        """Whether the value is in a tensor once its group has run."""
        is_stored = any(result.value == definition.value for result in self.program.results)
        is_complete = is_product(definition) or isinstance(definition.operation, ir.Reduce)
        return is_complete or is_stored or self.places.of(definition.value) is not None

    # Launches

    def _launch(self, key: Key, roots: list[_Root]) -> None:
        inside, loads = self._needed(roots)
        body = tuple(each for each in self.program.definitions if each.value in inside)
        kernel = Elementwise(
            name=self.names.kernel([(root.definition, root.tensor) for root in roots], key[0]),
            domain=key[0],
            dims=key[1],
            walk=next((axis for root in roots if key[0] == "tiles" and (axis := _axis(root))), None),
            loads=tuple(Access(value, tensor) for value, tensor in loads.items()),
            body=body,
            stores=tuple(Access(root.definition.value, root.tensor) for root in roots if not root.is_partial),
            partials=tuple(
                Partial(root.definition, root.definition.operation, root.tensor)
                for root in roots
                if root.is_partial and isinstance(root.definition.operation, ir.Reduce)
            ),
        )
        self.launches.append(kernel)
        for root in roots:
            self.waiting.pop(root.tensor, None)
            self.places.put(root.definition.value, root.tensor)

    def _needed(self, roots: list[_Root]) -> tuple[dict[ir.Value, None], dict[ir.Value, str]]:
        """What a kernel computes for its roots, and what it loads. A tile of a transposed square lies elsewhere in it:
        a square of which there is a transpose is stored before, and loaded from there.
        """
        inside: dict[ir.Value, None] = {}
        loads: dict[ir.Value, str] = {}
        for root in roots:
            operation = root.definition.operation
            needed = (
                operation.operand if root.is_partial and isinstance(operation, ir.Reduce) else root.definition.value
            )
            self._collect(needed, inside, loads)
        for value in inside:
            dims, operation = self.table[value].type.dims, self.table[value].operation
            if is_square(dims) and isinstance(operation, ir.Transpose) and operation.operand in inside:
                self._stored(operation.operand, dims)
                return self._needed(roots)
        return inside, loads

    def _collect(self, value: ir.Value, inside: dict[ir.Value, None], loads: dict[ir.Value, str]) -> None:
        """What has to be computed for a value, and what has to be loaded for that, in the order in which it is read."""
        waiting = [value]
        while waiting:
            value = waiting.pop()
            if value in inside or value in loads:
                continue
            tensor = self.places.of(value)
            if tensor is not None:
                loads[value] = tensor
                continue
            definition = self.table[value]
            if isinstance(definition.operation, ir.Input) or is_product(definition):
                raise _Gone(value)
            inside[value] = None
            waiting += reversed(ir.operands(definition.operation))

    def _finish(self) -> None:
        """Stores what waits: results of products and of reductions, and what could not replace its old value before."""
        roots: dict[Key, list[_Root]] = {}
        for target, value in self.waiting.items():
            definition = self.table[value]
            if target not in self.places.held.get(value, ()):
                roots.setdefault(_key(definition.type.dims, self.program), []).append(_Root(definition, target))
        self._launch_all(roots)


def _key(dims: Dims, program: ir.Program) -> Key:
    """What a kernel that computes a value of these dimensions runs over."""
    if dims.is_number:
        return "number", SCALAR
    if program.route == "otherwise":
        return "flat", MATRIX
    if dims.is_vector:
        return "vector", Dims(dims.length, ONE)
    return "tiles", dims if is_square(dims) else MATRIX


def _factors(definition: ir.Definition, table: dict[ir.Value, ir.Definition]) -> Iterator[tuple[ir.Value, Dims]]:
    """The matrices that a product reads, and the forms in which it takes them."""
    for value in ir.operands(definition.operation):
        if table[value].type.dims.is_number:
            yield value, SCALAR
        else:
            is_iterated = isinstance(definition.operation, ir.Quintic)
            yield value, ORIENTED if is_iterated else form_of(table[value].type.dims)


def _transposed(operand: Operand) -> Operand:
    return Operand(operand.tensor, not operand.is_transposed)


def _number(scalar: sc.Scalar) -> float:
    number = literal(scalar)
    assert number is not None, "products with other factors are split before"
    return float(number.text)


def _axis(root: _Root) -> Walk | None:
    operation = root.definition.operation
    axis = operation.axis if root.is_partial and isinstance(operation, ir.Reduce) else None
    if axis == "first" or axis == "last":
        raise AssertionError("dimensions that are neither rows nor columns are refused before")
    return axis


def _by_axis(key: Key, roots: list[_Root]) -> Iterator[list[_Root]]:
    """A kernel runs along one axis. What is stored is stored by the last, when the others have read the old values."""
    axes = list(dict.fromkeys(axis for root in roots if key[0] == "tiles" and (axis := _axis(root))))
    for axis in axes[:-1]:
        yield [root for root in roots if _axis(root) == axis]
    yield [root for root in roots if key[0] != "tiles" or _axis(root) in (None, *axes[-1:])]


def _readers(program: ir.Program) -> dict[ir.Value, list[ir.Value]]:
    readers: dict[ir.Value, list[ir.Value]] = {}
    for definition in program.definitions:
        for value in ir.operands(definition.operation):
            readers.setdefault(value, []).append(definition.value)
    return readers
