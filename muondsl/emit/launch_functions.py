"""The Triton part of a generated module: kernels, what they share, and the functions that launch them in order."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from muondsl.emit.comments import comment_lines
from muondsl.emit.python_scalar import to_python
from muondsl.emit.torch_statements import FORMATS
from muondsl.emit.triton_kernels import CONTROLS, DEVICE_FUNCTIONS, RESERVED, KernelText, shape_words, stores_parameter
from muondsl.emit.triton_scalar import to_triton
from muondsl.ir import scalar as sc
from muondsl.ir.reserved import MODULE, RUNTIME
from muondsl.runtime.tiles import ARCHITECTURES, Tile, usual_tiles
from muondsl.schedule.launches import Elementwise, Iterate, Product
from muondsl.schedule.name_launches import free_name

if TYPE_CHECKING:
    from muondsl.check import CheckedSpec, typed
    from muondsl.ir.types import DType
    from muondsl.optimize.collect_iterations import Coefficients
    from muondsl.schedule.launches import LaunchPlan

ROUTES = {"matrix": ("matrix", "matrices"), "otherwise": ("parameter", "every other parameter")}
Table = Callable[[list[tuple[str, str, str]], str], str]
"""Enters the coefficients of a rule among the module's constants and yields the constant's name."""


@dataclass
class LaunchText:
    """The Triton part of one route. Where `rounds`, every value is rounded to its format."""

    spec: CheckedSpec
    plan: LaunchPlan
    update: typed.Update
    rounds: bool
    table: Table

    def __post_init__(self) -> None:
        route = self.plan.program.route
        self.prefix = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", self.spec.name).lower()
        self.prefix += "" if route == "matrix" else "_otherwise"
        self.subject, self.subjects = ROUTES[route] if self.spec.matrix else ("parameter", "parameters")
        self.iterations: dict[str, str] = {}

    def kernels(self) -> list[str]:
        """The text of every kernel, that of the scalars first."""
        texts = [self._scalars_kernel()]
        for launch in self.plan.launches:
            if isinstance(launch, Elementwise):
                texts.append(self._kernel(launch).text())
        return texts

    def constants(self) -> list[str]:
        """The iterations, as constants of the module, behind the tiles that they name."""
        iterations = [launch for launch in self.plan.launches if isinstance(launch, Iterate)]
        for launch in iterations:
            self._iteration(launch)
        tables = dict.fromkeys(tile_table(launch.definition.type.dtype) for launch in iterations)
        return [*tables, *(f"{name} = {text}" for text, name in self.iterations.items())]

    def named_iterations(self) -> dict[tuple[tuple[Coefficients, ...], DType], str]:
        """The names of the constants, by what torch's statements know of an iteration."""
        launches = [launch for launch in self.plan.launches if isinstance(launch, Iterate)]
        return {(each.quintic.coefficients, each.definition.type.dtype): self._iteration(each) for each in launches}

    def function(self) -> str:
        """The function that launches a step."""
        route = self.plan.program.route
        lines = [
            f"def launch_{route}(batch: Batch) -> None:",
            f'    """What a step launches for {self.subjects}, all of them together."""',
        ]
        return "\n".join([*lines, *(f"    {line}" if line else "" for line in self._calls())])

    def _kernel(self, launch: Elementwise) -> KernelText:
        return KernelText(self.prefix, launch, self.plan, self.update, self.rounds)

    # The function that launches

    def _calls(self) -> Iterator[str]:
        results = {launch.result for launch in self.plan.launches if isinstance(launch, Iterate)}
        for buffer in self.plan.buffers:
            if not buffer.parts and buffer.name not in results:
                shape = (
                    "flat"
                    if self.plan.program.route == "otherwise" and buffer.dims.is_matrix
                    else shape_words(buffer.dims)
                )
                yield f'batch.workspace("{buffer.name}", "{shape}", {torch_dtype(buffer.dtype)})'
        yield f"batch.scalars({self.prefix}_scalars_kernel, {len(CONTROLS) + len(self.plan.scalars)})"
        stage = ""
        for launch in self.plan.launches:
            heading = self._heading(launch)
            if heading != stage:
                yield from comment_lines(heading)
                stage = heading
            yield self._call(launch)

    def _heading(self, launch: Elementwise | Product | Iterate) -> str:
        if isinstance(launch, Elementwise):
            headings = dict.fromkeys(origin.stage for origin in launch.origins)
        else:
            headings = {launch.definition.origin.stage: None}
        return ", ".join(heading.split(" with ")[0] for heading in headings) or "what is left to store"

    def _call(self, launch: Elementwise | Product | Iterate) -> str:
        match launch:
            case Elementwise():
                return self._elementwise_call(launch)
            case Iterate():
                arguments = [self._iteration(launch), f'"{launch.source}"', f'result="{launch.result}"']
                arguments += [f'divisor="{launch.divisor}"'] if launch.divisor else []
                arguments += ["dtype=batch.dtype"] if launch.definition.type.dtype.fixed is None else []
                return f"batch.iterate({', '.join(arguments)})"
            case Product():
                return self._product_call(launch)

    def _elementwise_call(self, launch: Elementwise) -> str:
        kernel = self._kernel(launch)
        method = {"tiles": "tiles", "vector": "vectors", "number": "each", "flat": "flat"}[launch.domain]
        arguments = [kernel.name, *(f'"{tensor}"' for tensor in launch.tensors)]
        if launch.domain == "vector" or launch.walk:
            arguments.append(f'{"axis" if launch.domain == "vector" else "walk"}="{kernel.axis}"')
        if kernel.is_square:
            arguments.append(f'square="{shape_words(launch.dims).split(",")[0]}"')
        if stores_parameter(launch):
            arguments.append("rounds=True")
        along = [each.tensor for each in launch.partials if launch.domain == "tiles" and each.reduction.axis]
        whole = [each.tensor for each in launch.partials if each.tensor not in along]
        arguments += [
            f"{word}=({', '.join(f'{chr(34)}{name}{chr(34)}' for name in names)},)"
            for word, names in (("whole", whole), ("along", along))
            if names
        ]
        return f"batch.{method}({', '.join(arguments)})"

    def _product_call(self, launch: Product) -> str:
        arguments = [f'"{launch.left.tensor}"', f'"{launch.right.tensor}"', f'out="{launch.result}"']
        if launch.left.is_transposed or launch.right.is_transposed:
            arguments.append(f"transposed=({launch.left.is_transposed}, {launch.right.is_transposed})")
        if launch.alpha != 1:
            arguments.append(f"alpha={launch.alpha!r}")
        if launch.addend:
            arguments += [f"beta={launch.beta!r}", f'addend="{launch.addend}"']
        if launch.is_symmetric:
            arguments.append("is_symmetric=True")
        return f"batch.product({', '.join(arguments)})"

    # Iterations

    def _iteration(self, launch: Iterate) -> str:
        """The name of the constant that describes an iteration."""
        rows = [(to_python(a), to_python(b), to_python(c)) for a, b, c in launch.quintic.coefficients]
        table = self.table(rows, launch.definition.origin.rule)
        dtype = torch_dtype(launch.definition.type.dtype)
        fields = [f"coefficients={table}", f"dtype={'torch.float32' if dtype == 'None' else dtype}"]
        text = f"Iteration({', '.join([*fields, *self._form(launch)])})"
        wish = table.replace("_COEFFICIENTS", "")
        if text not in self.iterations:
            taken = {*self.iterations.values(), self.spec.name, *MODULE, *RUNTIME}
            self.iterations[text] = free_name(f"{wish}_ITERATION" if wish in taken else wish, taken)
        return self.iterations[text]

    def _form(self, launch: Iterate) -> Iterator[str]:
        if launch.gram:
            restarts = f"({', '.join(map(str, launch.gram.restarts))}{',' * (len(launch.gram.restarts) == 1)})"
            fields = [f"ratio={launch.gram.ratio!r}", f"restarts={restarts}", f"shortest={launch.gram.shortest}"]
            yield f"gram=Gram({', '.join(fields)})"
        if not launch.folds_diagonal:
            yield "folds_diagonal=False"
        yield f"tiles={_table_name(launch.definition.type.dtype)}"

    # Scalars

    def _scalars_kernel(self) -> str:
        symbols = {symbol for _, scalar in self.plan.scalars for symbol in sc.symbols(scalar)}
        hypers = [*self._hypers()]
        taken = set(RESERVED)
        wishes = {str(symbol): f"{symbol.name}{'' if symbol.index is None else symbol.index}" for symbol in hypers}
        wishes |= {each.name: each.name for each in self.plan.named}
        names = {name: free_name(wish, taken) for name, wish in wishes.items()}
        counts_steps = any(symbol.kind == "step" for symbol in symbols)
        count = len(CONTROLS) + len(self.plan.scalars)
        head = [
            "@jit",
            f"def {self.prefix}_scalars_kernel(",
            f"    hypers_ptr,  # 1 / grad_scale, is_skipped; for each group: {', '.join(['sign', *map(str, hypers)])}",
            f"    groups_ptr,  # where the numbers of each {self.subject}'s group begin",
            "    shapes_ptr,  # rows, cols",
            *(["    steps_ptr,  # addresses of the numbers of steps"] if counts_steps else []),
            f"    scalars_ptr,  # what this kernel yields, {count} numbers for each {self.subject}",
            "):",
            '    """Numbers that hypers and the shape decide, in fp64."""',
        ]
        body = [
            "matrix = tl.program_id(0)",
            "hypers = hypers_ptr + tl.load(groups_ptr + matrix)",
            "gradient_factor = tl.load(hypers_ptr) * tl.load(hypers)",
            "is_skipped = tl.load(hypers_ptr + 1)",
        ]
        for place, symbol in enumerate(hypers, 1):
            if symbol in symbols:
                body.append(f"{names[str(symbol)]} = tl.load(hypers + {place})")
        shapes = {symbol.name for symbol in symbols if symbol.kind == "shape"}
        if shapes:
            body.append("rows, cols = shape_in_fp64(shapes_ptr, matrix)")
        if "numel" in shapes:
            body.append("numel = rows * cols")
        if counts_steps:
            body.append("step = step_of(steps_ptr, matrix)")
        used = {part.name for _, scalar in self.plan.scalars for part in sc.named(scalar)}
        body += [
            f"{names[each.name]} = {to_triton(each.scalar, names)}" for each in self.plan.named if each.name in used
        ]
        body += ["", f"scalars = scalars_ptr + {count} * matrix"]
        body += [f"tl.store(scalars{f' + {place}' if place else ''}, {name})" for place, name in enumerate(CONTROLS)]
        for place, (_, scalar) in enumerate(self.plan.scalars, len(CONTROLS)):
            body.append(f"tl.store(scalars + {place}, {to_triton(scalar, names)})")
        return "\n".join([*head, *(f"    {line}" if line else "" for line in body)])

    def _hypers(self) -> Iterator[sc.Symbol]:
        """Every number of the class's hypers, in their order."""
        for hyper in self.spec.hypers:
            if isinstance(hyper.default, tuple):
                yield from (sc.Symbol(hyper.name, "hyper", index) for index in range(len(hyper.default)))
            else:
                yield sc.Symbol(hyper.name, "hyper")


def tile_table(dtype: DType) -> str:
    """The constant that holds the tiles of products on each architecture."""
    tables = usual_tiles("float32" if dtype.fixed == "fp32" else "bfloat16")
    rows = [
        f"{architecture}=Tiles({', '.join(f'{use}={_tile(getattr(tiles, use))}' for use in USES)})"
        for architecture in ARCHITECTURES
        for tiles in (tables.of(architecture),)
    ]
    return f"# Rows, columns and depth of the tiles of products.\n{_table_name(dtype)} = TileTable({', '.join(rows)},)"


USES = ("symmetric", "plain", "small")


def _table_name(dtype: DType) -> str:
    return "TILES_OF_FP32" if dtype.fixed == "fp32" else "TILES"


def _tile(tile: Tile) -> str:
    """The tile with what differs from the default, and its sizes without their names."""
    sizes = [str(size) for size in (tile.block_m, tile.block_n, tile.block_k)]
    options = [
        f"{each.name}={getattr(tile, each.name)!r}"
        for each in fields(tile)
        if not each.name.startswith("block_") and getattr(tile, each.name) != each.default
    ]
    return f"Tile({', '.join(sizes + options)})"


def torch_dtype(dtype: DType) -> str:
    """The torch dtype of a buffer; None is the parameters'."""
    if dtype.is_mask:
        return "torch.int8"
    if dtype.fixed is None:
        return "None"
    return "torch.float32" if dtype.follows_parameter else FORMATS[dtype.fixed]


def imports(text: str) -> Iterator[str]:
    """The imports of the device functions that a text names."""
    for module, names in DEVICE_FUNCTIONS.items():
        found = [name for name in names if re.search(rf"\b{name}\(", text)]
        if found:
            yield f"from {module} import {', '.join(found)}"
