"""Parameters that are stepped together: their tables, workspaces, and the launches that a step replays.

In: the tensors of each parameter of one route, device and dtype, and a launch function of a generated module, which is
called once. Out: a list of launches, ready to run. Nothing is stacked or copied: kernels read addresses from tables.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from muondsl.runtime.addresses import AddressTables, StepMember
from muondsl.runtime.choose_tile import product_tile
from muondsl.runtime.iteration import Iteration, Member, iteration_launches
from muondsl.runtime.launch import Launch
from muondsl.runtime.layout import LEADING_ELEMENTS, padded
from muondsl.runtime.numbers import Numbers
from muondsl.runtime.precision import ELEMENTS, MASTER, Formats
from muondsl.runtime.products import Operand, Problem, product_launch, triton_dtype
from muondsl.runtime.programs import (
    FLAT,
    TILE,
    VECTOR,
    Axis,
    Division,
    divide_range,
    divide_tiles,
    length_along,
    program_table,
    warps_of,
)
from muondsl.runtime.tiles import Tile
from muondsl.runtime.workspace import FORMS, Arena, Workspace, extents, sides_of

LaunchFunction = Callable[["Batch"], None]
"""A function of a generated module: all launches of a step of one route."""


class Batch:
    """Members of one route, device and dtype, and the launches that step them.

    The launch function names tensors: `parameter`, `gradient`, states, workspaces, and parts of reductions. Where
    parameters have masters, `parameter` is the master.
    """

    def __init__(
        self,
        members: Sequence[StepMember],
        tables: AddressTables,
        numbers: Numbers,
        arena: Arena,
        formats: Formats,
        architecture: str,
    ) -> None:
        self.launches: list[Launch] = []
        self.tables, self.numbers, self.arena, self.architecture = tables, numbers, arena, architecture
        self.shapes = tables.shapes
        self.device = tables.device
        self.dtype = formats.computed
        self.taken = [0] * len(members)
        """The bytes of workspace that each member has."""
        self.iterations: list[Iteration] = []
        self._workspaces: dict[str, Workspace] = {}
        self._scalars: Tensor | None = None
        self._has_masters = MASTER.name in tables.names
        self._constants = {
            "PARAMETER": triton_dtype(formats.stored),
            "COMPUTED": triton_dtype(formats.computed),
            "GRADIENT": triton_dtype(members[0].gradient.dtype),
            "ROUNDING": formats.rounding,
        }

    # What launch functions call.

    def workspace(self, name: str, form: str, dtype: torch.dtype | None = None) -> None:
        """Memory for each matrix, of the dtype in which they are computed if none is given. `form`: see `FORMS`."""
        if form not in FORMS:
            raise ValueError(f"the form of a workspace should be one of {tuple(FORMS)} but is: {form!r}")
        dtype = dtype or self.dtype
        rows = []
        for matrix, shape in enumerate(self.shapes):
            numel, leading = extents(form, *shape)
            rows.append((self._take(matrix, numel * dtype.itemsize), leading, 1))
        self._add(name, form, dtype, rows)

    def scalars(self, kernel: Any, count: int) -> None:
        """One program for each matrix computes `count` numbers from hypers, shape and step."""
        table = self.scalar_table(count)
        counted = self.numbers.step_addresses
        steps = [counted] if counted is not None and "steps_ptr" in kernel.arg_names else []
        arguments = (self.numbers.hypers, self.numbers.groups, self.tables.shape_table, *steps, table)
        self._append(Launch(kernel, len(self.shapes), arguments, {}, warps=1, stages=1, matrices=len(self.shapes)))

    def tiles(
        self,
        kernel: Any,
        *names: str,
        walk: Axis = "cols",
        whole: Sequence[str] = (),
        along: Sequence[str] = (),
        square: Axis | None = None,
        rounds: bool = False,
    ) -> None:
        """Work on tiles of (rows, cols), or of a square of one dimension, which programs walk along an axis. `whole`
        and `along` name parts that the kernel writes: of reductions over the matrix, and along the axis that is walked.
        `rounds`: the kernel stores the parameter.
        """
        shapes = self.shapes if square is None else [(length_along(*each, square),) * 2 for each in self.shapes]
        divisions = [divide_tiles(*shape, walk, has_whole=bool(whole), has_along=bool(along)) for shape in shapes]
        self._add_whole(whole, divisions)
        for name in along:
            lengths = [rows * cols // length_along(rows, cols, walk) for rows, cols in shapes]
            self._add_parts(name, [each.segments for each in divisions], lengths)
        self._divided(kernel, names, divisions, TILE, rounds=rounds)

    def vectors(self, kernel: Any, *names: str, axis: Axis, whole: Sequence[str] = ()) -> None:
        """Work on one number for each index of a dimension."""
        divisions = [divide_range(length_along(*shape, axis), VECTOR, has_whole=bool(whole)) for shape in self.shapes]
        self._add_whole(whole, divisions)
        self._divided(kernel, names, divisions, VECTOR)

    def flat(self, kernel: Any, *names: str, whole: Sequence[str] = (), rounds: bool = False) -> None:
        """Work on the elements of parameters of any shape. `rounds`: the kernel stores the parameter."""
        divisions = [divide_range(rows * cols, FLAT, has_whole=bool(whole)) for rows, cols in self.shapes]
        self._add_whole(whole, divisions)
        self._divided(kernel, names, divisions, FLAT, rounds=rounds)

    def each(self, kernel: Any, *names: str) -> None:
        """Work on one number for each matrix."""
        count = len(self.shapes)
        arguments = (*map(self.table, names), self.tables.shape_table, self.scalar_table())
        constants = self._constants_of(kernel)
        self._append(Launch(kernel, count, arguments, constants, warps=1, stages=1, matrices=count))

    def iterate(
        self,
        iteration: Iteration,
        source: str,
        *,
        result: str,
        divisor: str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        """Iterates the matrices of a workspace (short, long), divided by a number each; the source is written over.
        A dtype stands in for that of the iteration.
        """
        iteration = replace(iteration, dtype=dtype) if dtype else iteration
        given = self._workspaces[source]
        divisors = self._workspaces[divisor].addresses if divisor else [0] * len(self.shapes)
        members, rows = [], []
        for matrix, (shape, address) in enumerate(zip(self.shapes, given.addresses, strict=True)):
            short, long = sorted(shape)
            layout = iteration.layout(short, long)
            scratch = self._take(matrix, layout.scratch_bytes)
            members.append(Member(short, long, address, scratch, divisors[matrix]))
            rows.append((layout.result_address(address, scratch), layout.leading, 1))
        self._add(result, "short, long", iteration.dtype, rows)
        self.iterations.append(iteration)
        if not self.is_measuring:
            self.launches += iteration_launches(iteration, members, device=self.device, architecture=self.architecture)

    def product(
        self,
        left: str,
        right: str,
        out: str,
        *,
        transposed: tuple[bool, bool] = (False, False),
        alpha: float = 1.0,
        addend: str | None = None,
        beta: float = 0.0,
        is_symmetric: bool = False,
    ) -> None:
        """out ← alpha left right + beta addend, of workspaces; `transposed` tells which of both are stored so."""
        groups: dict[Tile, list[Problem]] = {}
        for matrix, shape in enumerate(self.shapes):
            m, k = self._sizes(left, shape, is_transposed=transposed[0])
            inner, n = self._sizes(right, shape, is_transposed=transposed[1])
            if inner != k or self._sizes(out, shape) != (m, n):
                raise ValueError(f"{out} ← {left} {right} is no product of a matrix of {shape[0]} × {shape[1]}")
            problem = Problem(
                self._operand(left, matrix),
                self._operand(right, matrix),
                self._operand(out, matrix),
                m,
                n,
                k,
                addend=self._operand(addend, matrix) if addend else None,
                alpha=alpha,
                beta=beta,
            )
            dtype = torch_name(self._workspaces[left].dtype)
            tile = product_tile(self.architecture, dtype, is_symmetric=is_symmetric, side=min(m, n))
            groups.setdefault(tile, []).append(problem)
        if self.is_measuring:
            return
        for tile, problems in groups.items():
            self.launches.append(
                product_launch(
                    problems,
                    dtype=self._workspaces[left].dtype,
                    tile=tile,
                    device=self.device,
                    is_symmetric=is_symmetric,
                    transposed=transposed,
                    title=f"{out} ← {left} {right}",
                )
            )

    # What these are made of.

    @property
    def is_measuring(self) -> bool:
        """Whether only the sizes of workspaces are asked for."""
        return self.device.type == "meta"

    def table(self, name: str) -> Tensor:
        """The addresses of a tensor or a workspace."""
        return self._workspaces[name].table if name in self._workspaces else self.tables[self._held_as(name)]

    def scalar_table(self, count: int = 1) -> Tensor:
        """Numbers of each matrix, made by the first that asks."""
        if self._scalars is None:
            self._scalars = torch.zeros((len(self.shapes), count), dtype=torch.float32, device=self.device)
        return self._scalars

    def run(self) -> None:
        for launch in self.launches:
            launch.run()

    def _take(self, matrix: int, size: int) -> int:
        before = self.arena.used
        address = self.arena.take(size)
        self.taken[matrix] += self.arena.used - before
        return address

    def _add(self, name: str, form: str, dtype: torch.dtype, rows: Sequence[tuple[int, int, int]]) -> None:
        if name in self._workspaces or name in self.tables.names:
            raise ValueError(f"two tensors of a step have the same name: {name}")
        table = torch.tensor(rows, dtype=torch.int64, device=self.device)
        self._workspaces[name] = Workspace(form, dtype, rows, table)

    def _add_whole(self, names: Sequence[str], divisions: Sequence[Division]) -> None:
        for name in names:
            self._add_parts(name, [each.programs for each in divisions], [1] * len(divisions))

    def _add_parts(self, name: str, counts: Sequence[int], lengths: Sequence[int]) -> None:
        """Room for partial results, whose rows begin at multiples of 16 numbers."""
        rows = []
        for matrix, (count, length) in enumerate(zip(counts, lengths, strict=True)):
            leading = length if length == 1 else padded(length, LEADING_ELEMENTS)
            rows.append((self._take(matrix, 4 * count * leading), count, leading))
        self._add(name, "parts", torch.float32, rows)

    def _held_as(self, name: str) -> str:
        return MASTER.name if self._has_masters and name == "parameter" else name

    def _constants_of(self, kernel: Any) -> dict[str, Any]:
        return {name: value for name, value in self._constants.items() if name in kernel.arg_names}

    def _rounding_tables(self) -> tuple[Tensor, Tensor]:
        """What `store_parameter` reads, which is neither where a parameter is rounded to the nearest."""
        keys = self.numbers.keys
        parameters = self.tables["parameter"]
        return (parameters, parameters) if keys is None else (self.tables[ELEMENTS.name], keys)

    def _divided(
        self, kernel: Any, names: Sequence[str], divisions: Sequence[Division], block: int, *, rounds: bool = False
    ) -> None:
        """One launch for matrices whose tensors are all aligned, and one for the others."""
        if self.is_measuring:
            return
        aligned = self.tables.aligned([*map(self._held_as, names), *(["parameter"] if rounds else [])])
        tables = (*map(self.table, names), *(self._rounding_tables() if rounds else ()))
        arguments = (*tables, self.tables.shape_table, self.scalar_table())
        for is_aligned in (True, False):
            chosen = [matrix for matrix, each in enumerate(aligned) if each == is_aligned]
            if chosen:
                programs = program_table(chosen, [divisions[matrix] for matrix in chosen])
                constants = {**self._constants_of(kernel), "IS_ALIGNED": is_aligned, "BLOCK": block}
                given = (*arguments, programs.to(self.device))
                warps = warps_of(block, self.architecture)
                self._append(Launch(kernel, len(programs), given, constants, warps, stages=1, matrices=len(chosen)))

    def _append(self, launch: Launch) -> None:
        if not self.is_measuring:
            self.launches.append(launch)

    def _operand(self, name: str, matrix: int) -> Operand:
        address, leading, _ = self._workspaces[name].rows[matrix]
        return Operand(address, leading)

    def _sizes(self, name: str, shape: tuple[int, int], *, is_transposed: bool = False) -> tuple[int, int]:
        sides = sides_of(*shape)
        sizes = [sides[side] for side in FORMS[self._workspaces[name].form]]
        if len(sizes) != 2:
            raise ValueError(f"{name} is no matrix")
        return (sizes[1], sizes[0]) if is_transposed else (sizes[0], sizes[1])


def torch_name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
