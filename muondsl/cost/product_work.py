"""Products of the plan as work: the launches that the runtime makes for them, read from their tables.

One matrix of each shape is enough, because a launch is made of the set of shapes. Its addresses say which shape a
problem belongs to, and every problem counts as often as there are matrices of the shape.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from muondsl.cost.devices import Format
from muondsl.cost.population import Population, extent
from muondsl.cost.work import Work
from muondsl.ir.types import Dims
from muondsl.runtime.choose_tile import product_tile
from muondsl.runtime.iteration import Gram, Iteration, Member, dense_flops, iteration_launches
from muondsl.runtime.launch import Launch
from muondsl.runtime.products import Operand, Problem, executed_flops, product_traffic
from muondsl.runtime.tiles import Tile
from muondsl.schedule.launches import Iterate, LaunchPlan, Product

TORCH: dict[Format, torch.dtype] = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}
ROOM = 1 << 40
"""Between the addresses of matrices of different shapes; the scratch of one is half of it behind its source."""


def iteration_of(launch: Iterate, population: Population) -> Iteration:
    """The iteration as the generated module states it."""
    form = launch.gram
    gram = Gram(form.ratio, form.restarts, form.shortest) if form else None
    a_b_c = tuple((float(a.text), float(b.text), float(c.text)) for a, b, c in launch.quintic.coefficients)
    dtype = TORCH[population.held_in(launch.definition.type.dtype.fixed)]
    return Iteration(a_b_c, dtype, gram=gram, folds_diagonal=launch.folds_diagonal)


def iteration_works(launch: Iterate, population: Population, architecture: str) -> Iterator[Work]:
    """A launch for each wave of products, and those of small matrices."""
    iteration = iteration_of(launch, population)
    counts = [(tuple(sorted(shape)), n) for shape, n in population.counts.items()]
    members = [
        Member(short, long, place * ROOM, place * ROOM + ROOM // 2)
        for place, ((short, long), _) in enumerate(counts, 1)
    ]
    numbers = [n for _, n in counts]
    given = iteration_launches(iteration, members, device=torch.device("cpu"), architecture=architecture)
    for one in given:
        read = _small_work if "BLOCK_SHORT" in one.constants else _product_work
        yield read(one, numbers, population.held_in(launch.definition.type.dtype.fixed))


def dense_iteration_flops(launch: Iterate, population: Population) -> int:
    """Those of the same steps as whole products."""
    iteration = iteration_of(launch, population)
    return sum(n * dense_flops(iteration, *sorted(shape)) for shape, n in population.counts.items())


def product_works(launch: Product, plan: LaunchPlan, population: Population, architecture: str) -> Iterator[Work]:
    """A launch for each tile that products of these shapes take."""
    name = population.held_in(launch.definition.type.dtype.fixed)
    groups: dict[Tile, list[tuple[int, Problem]]] = {}
    for shape, n in population.counts.items():
        left = _sizes(_dims(plan, launch.left.tensor), shape, is_transposed=launch.left.is_transposed)
        right = _sizes(_dims(plan, launch.right.tensor), shape, is_transposed=launch.right.is_transposed)
        tensors = dict.fromkeys((launch.left.tensor, launch.right.tensor, launch.addend, launch.result))
        places = {tensor: Operand(place * ROOM, 0) for place, tensor in enumerate(tensors, 1) if tensor}
        problem = Problem(
            places[launch.left.tensor],
            places[launch.right.tensor],
            places[launch.result],
            m=left[0],
            n=right[1],
            k=left[1],
            addend=places[launch.addend] if launch.addend else None,
        )
        dtype = str(TORCH[name]).removeprefix("torch.")
        side = min(problem.m, problem.n)
        tile = product_tile(architecture, dtype, is_symmetric=launch.is_symmetric, side=side)
        groups.setdefault(tile, []).append((n, problem))
    title = f"{launch.result} ← {launch.left.tensor} {launch.right.tensor}"
    for tile, problems in groups.items():
        yield _sum(title, problems, tile, name, is_symmetric=launch.is_symmetric)


def _product_work(launch: Launch, numbers: list[int], name: Format) -> Work:
    constants = launch.constants
    tile = Tile(
        constants["BLOCK_M"],
        constants["BLOCK_N"],
        constants["BLOCK_K"],
        warps=launch.warps,
        stages=launch.stages,
        splits_diagonal=constants["SPLITS_DIAGONAL"],
    )
    problems = [(numbers[row[3] // ROOM - 1], _problem(row)) for row in _rows(launch)]
    return _sum(launch.title, problems, tile, name, is_symmetric=constants["IS_SYMMETRIC"])


def _problem(row: list[int]) -> Problem:
    left, right, addend, out = (Operand(address, leading) for address, leading in zip(row[:4], row[4:8], strict=True))
    m, n, k = row[8:11]
    return Problem(left, right, out, m, n, k, addend=addend if addend.address else None)


def _sum(title: str, problems: list[tuple[int, Problem]], tile: Tile, name: Format, *, is_symmetric: bool) -> Work:
    item_bytes = TORCH[name].itemsize
    flops = loaded = stored = loaded_by_tiles = 0
    for n, problem in problems:
        traffic = product_traffic([problem], tile, itemsize=item_bytes, is_symmetric=is_symmetric)
        flops += n * executed_flops([problem], tile, is_symmetric=is_symmetric)
        loaded += n * _operand_elements(problem) * item_bytes
        stored += n * traffic.stored
        loaded_by_tiles += n * traffic.loaded
    matrices = sum(n for n, _ in problems)
    return Work("product_kernel", title, "product", name, matrices, flops, loaded, stored, loaded_by_tiles)


def _operand_elements(problem: Problem) -> int:
    """Each matrix that is read, once, whether as one factor, as both, or as the addend too."""
    sizes = {problem.left: problem.m * problem.k, problem.right: problem.k * problem.n}
    if problem.addend:
        sizes.setdefault(problem.addend, problem.m * problem.n)
    return sum(sizes.values())


def _small_work(launch: Launch, numbers: list[int], name: Format) -> Work:
    """x is read and written by every step, unless it is one block and stays on chip."""
    short_block, long_block = launch.constants["BLOCK_SHORT"], launch.constants["BLOCK_LONG"]
    steps, is_whole = launch.constants["N_STEPS"], launch.constants["IS_WHOLE"]
    flops = loaded = stored = matrices = 0
    for address, leading, _, _, short, long, _ in _rows(launch):
        n = numbers[address // ROOM - 1]
        blocks = -(-long // long_block)
        panel = 2 * short_block * short_block * long_block * blocks
        # Walking over blocks adds up the first s before the steps, and one for no step after the last.
        panels = 2 * steps if is_whole else 2 * steps + 1
        flops += n * (panels * panel + steps * 2 * short_block**3)
        loaded += n * short * leading * (1 if is_whole else steps + 1)
        stored += n * short * leading * (1 if is_whole else steps)
        matrices += n
    item_bytes = TORCH[name].itemsize
    loaded, stored = loaded * item_bytes, stored * item_bytes
    return Work("small_kernel", launch.title, "product", name, matrices, flops, loaded, stored, loaded)


def _rows(launch: Launch) -> list[list[int]]:
    table = launch.arguments[0]
    assert isinstance(table, torch.Tensor)
    rows: list[list[int]] = table.tolist()
    return rows


def _dims(plan: LaunchPlan, tensor: str) -> Dims:
    """Those of a workspace: products read and write nothing else."""
    return next(buffer.dims for buffer in plan.buffers if buffer.name == tensor)


def _sizes(dims: Dims, shape: tuple[int, int], *, is_transposed: bool) -> tuple[int, int]:
    sizes = extent(dims.row, *shape), extent(dims.col, *shape)
    return (sizes[1], sizes[0]) if is_transposed else sizes
