"""The plan of a step on a GPU: what is launched, once for all matrices, and which tensors carry values between.

Data only. `program_to_launches.py` decides; `emit` prints it, and `cost.py` counts it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from muondsl.ir import program as ir
from muondsl.ir.scalar import Scalar
from muondsl.ir.types import Dims, DType
from muondsl.schedule.plan import HostScalar

Domain = Literal["tiles", "vector", "number", "flat"]
"""What a kernel runs over: the tiles of a matrix, the elements of a vector, one number for each matrix, or all
elements of a tensor of any shape."""

Walk = Literal["rows", "cols", "short", "long"]
"""The axis along which the programs of a kernel go on."""


@dataclass(frozen=True, slots=True)
class Buffer:
    """A tensor that a step owns, one for each matrix. With `parts` it holds the partial results of a reduction, which
    its readers put together.
    """

    name: str
    value: ir.Value
    dims: Dims
    dtype: DType
    parts: ir.Reduce | None = None


@dataclass(frozen=True, slots=True)
class Access:
    """A value and the tensor that holds it: a buffer, the parameter, its gradient, or a state."""

    value: ir.Value
    tensor: str


@dataclass(frozen=True, slots=True)
class Partial:
    """A reduction that a kernel begins: every program leaves its part in the tensor."""

    definition: ir.Definition
    reduction: ir.Reduce
    tensor: str


@dataclass(frozen=True, slots=True)
class Elementwise:
    """One launch of elementwise work with its reductions. `dims` are those of what it runs over; `walk` is the axis
    along which a program goes on where a reduction runs along it. Loads come first, stores last; `partials` are the
    reductions that the kernel begins.
    """

    name: str
    domain: Domain
    dims: Dims
    walk: Walk | None
    loads: tuple[Access, ...]
    body: tuple[ir.Definition, ...]
    stores: tuple[Access, ...]
    partials: tuple[Partial, ...]

    @property
    def tensors(self) -> tuple[str, ...]:
        """Every tensor that the kernel reads or writes, once."""
        accesses: tuple[Access | Partial, ...] = (*self.loads, *self.stores, *self.partials)
        return tuple(dict.fromkeys(each.tensor for each in accesses))

    @property
    def origins(self) -> tuple[ir.Origin, ...]:
        """Where in the spec the work of the kernel stands; views are no work."""
        work = [each for each in self.body if not isinstance(each.operation, ir.Transpose | ir.Orient)]
        definitions = [*work, *(each.definition for each in self.partials)]
        return tuple(dict.fromkeys(each.origin for each in definitions if each.origin.stage))


@dataclass(frozen=True, slots=True)
class Operand:
    """A factor of a product, and whether its transpose is meant."""

    tensor: str
    is_transposed: bool


@dataclass(frozen=True, slots=True)
class Product:
    """One launch of a matrix product, alpha·left·right + beta·addend."""

    definition: ir.Definition
    left: Operand
    right: Operand
    addend: str | None
    alpha: float
    beta: float
    result: str
    is_symmetric: bool


@dataclass(frozen=True, slots=True)
class GramForm:
    """Matrices whose longer side is at least `ratio` times the shorter, and that at least `shortest`, are iterated by
    their Gram matrices, x itself being formed anew after each number of steps in `restarts`.
    """

    ratio: float
    restarts: tuple[int, ...]
    shortest: int


@dataclass(frozen=True, slots=True)
class Iterate:
    """A quintic iteration, as many launches as its form takes. `folds_diagonal` says that a is added to the diagonal of
    b·s + c·s·s before this is rounded, which leaves one product of a step without an addend.
    """

    definition: ir.Definition
    quintic: ir.Quintic
    source: str
    divisor: str | None
    result: str
    gram: GramForm | None
    folds_diagonal: bool


Launch = Elementwise | Product | Iterate


@dataclass(frozen=True, slots=True)
class LaunchPlan:
    """One step of one route. `scalars` are what kernels read of the host's numbers, under their names; `named` are the
    spec's own names among what these are made of.
    """

    program: ir.Program
    named: tuple[HostScalar, ...]
    scalars: tuple[tuple[str, Scalar], ...]
    buffers: tuple[Buffer, ...]
    launches: tuple[Launch, ...]

    def buffer(self, name: str) -> Buffer | None:
        return next((buffer for buffer in self.buffers if buffer.name == name), None)
