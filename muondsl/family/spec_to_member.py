"""A spec in, its row out."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from muondsl.check import check_file, typed
from muondsl.check.modules import gather
from muondsl.check.report import Report
from muondsl.diagnostics.span import Source
from muondsl.family.divisors import divisors
from muondsl.family.member import Kept, Member, Stage
from muondsl.family.stage_to_lines import stage_to_lines
from muondsl.ir.types import MATRIX
from muondsl.optimize import optimize_for_gpu
from muondsl.parse import ast, parse, read
from muondsl.parse.expression_to_line import expression_to_line, flat
from muondsl.parse.item_to_parts import item_to_parts
from muondsl.pipeline import Pipeline
from muondsl.schedule.program_to_launches import NotPlanned, plan_launches

if TYPE_CHECKING:
    from pathlib import Path

Item = TypeVar("Item", ast.Route, ast.View)


def spec_to_member(path: Path) -> Member | None:
    """The row of the spec in a file; None for a file that holds only rules. Raises SpecError with all errors found."""
    source = read(path)
    spec = check_file(source, path.parent)
    if spec is None:
        return None
    modules = gather(source, path.parent, Report())
    own = modules.chain[0]
    rules = modules.library.rules
    scalars: dict[str, ast.Let | ast.Const] = {}
    for file in reversed(modules.chain):
        scalars |= {name: item for item in file.items if isinstance(item, ast.Let) for name in item.names}
        numbers = (item for item in file.items if isinstance(item, ast.Const) and isinstance(item.value, ast.Number))
        scalars |= {item.name: item for item in numbers}

    def stage(checked: typed.Stage) -> Stage:
        return stage_to_lines(_written(checked), rules, scalars)

    otherwise = spec.otherwise
    normalized = (each for each in spec.of_matrices.stages if each.name == "orthogonalize")
    return Member(
        file=path.stem,
        name=spec.name,
        parent=next(item.parent for item in own.items if isinstance(item, ast.Optimizer)),
        docstring=" ".join(spec.docstring.split()),
        citations=spec.citations,
        hypers=tuple(f"{hyper.name} = {_default(hyper)}" for hyper in spec.hypers),
        has_matrices=spec.matrix is not None,
        routes=tuple(
            (each.target, flat(expression_to_line(each.predicate))) for each in _nearest(modules.chain, ast.Route)
        ),
        views=tuple(flat(item_to_parts(each).head).removeprefix("view ") for each in _nearest(modules.chain, ast.View)),
        stages=tuple(map(stage, spec.of_matrices.stages)),
        divided_by=tuple(found for each in normalized for found in divisors(each)),
        otherwise=stage(otherwise.stages[0]) if otherwise else None,
        states=tuple(_kept(state, state.shape) for state in spec.of_matrices.states),
        other_states=tuple(_kept(state, "") for state in otherwise.states) if otherwise else (),
        obstacle=_obstacle(Pipeline(source, path.parent)),
    )


def _written(stage: typed.Stage) -> ast.File:
    """The stage alone as the file has it that writes it, which may be a parent's."""
    return parse(Source(stage.span.source.name, stage.span.text))


def _nearest(chain: tuple[ast.File, ...], kind: type[Item]) -> list[Item]:
    """The items of a kind of the first file that has any: a child's take the place of its parent's."""
    found = ([item for item in file.items if isinstance(item, kind)] for file in chain)
    return next(filter(None, found), [])


def _default(hyper: typed.Hyper) -> str:
    return hyper.default if isinstance(hyper.default, str) else f"({', '.join(hyper.default)})"


def _kept(state: typed.State, shape_of_parameter: str) -> Kept:
    shape = shape_of_parameter if state.variable.dims == MATRIX else state.shape
    return Kept(state.variable.name, shape, state.format)


def _obstacle(stages: Pipeline) -> str:
    """Why there are no kernels for the spec as it is written, in words."""
    for program in optimize_for_gpu(stages.optimized(), stages.options.numerics).programs():
        try:
            plan_launches(program, is_faithful=False)
        except NotPlanned as reason:
            return str(reason)
    return ""
