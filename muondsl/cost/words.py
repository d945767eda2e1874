"""What reports on a step of parameters say alike: of their number, of the options, of those that are left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from muondsl.cost.devices import Format
from muondsl.cost.shapes import Shape
from muondsl.pipeline import Options


def lines_of_parameters(
    spec: str, shapes: str, count: int, elements: int, parameters: Format, options: Options, left_out: Sequence[Shape]
) -> Iterator[str]:
    """`shapes` is what the user calls them, `parameters` their format."""
    precision = f"precision {options.precision}" if options.precision else "precision as written"
    yield (
        f"shapes {shapes}: {plural(count, 'parameter')}, {elements:,} elements of {parameters}; "
        f"numerics {options.numerics}, {precision}"
    )
    if left_out:
        left = sum(shape.numel for shape in left_out)
        yield (
            f"left out: {plural(len(left_out), 'parameter')}, {left:,} elements of embeddings, heads and vectors, "
            f"which {spec} has no rule for"
        )


def plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
