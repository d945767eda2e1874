"""The table of contents of the compiler: every stage, what it takes and what it yields.

text ─parse→ tree ─check→ typed program ─lower→ tensor program ─optimize→ tensor program ─schedule→ plan ─emit→ file

The plan is twofold: statements of torch for one parameter, and launches of Triton kernels for all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from muondsl import __version__
from muondsl.check import CheckedSpec, check
from muondsl.emit import GeneratedFile, Header, emit
from muondsl.ir.types import FORMATS
from muondsl.lower import fingerprint, lower
from muondsl.optimize import NUMERICS, optimize, optimize_for_gpu, optimize_for_torch
from muondsl.parse import parse
from muondsl.schedule import LaunchPlan, Plan, schedule, schedule_launches

if TYPE_CHECKING:
    from muondsl.diagnostics.span import Source
    from muondsl.ir.program import Step
    from muondsl.ir.types import Format
    from muondsl.optimize import Numerics
    from muondsl.parse import ast


@dataclass(frozen=True)
class Options:
    """What a user may choose beside the spec.

    `numerics`: `faithful` keeps the order of operations as written, `fast` may reassociate. `precision` stands in for
    the number format of every `in` block. `standalone` files import nothing of muondsl. Raises ValueError for others.
    """

    numerics: Numerics = "fast"
    precision: Format | None = None
    standalone: bool = False

    def __post_init__(self) -> None:
        if self.numerics not in NUMERICS:
            raise ValueError(f"numerics should be one of {NUMERICS} but is: {self.numerics!r}")
        if self.precision not in (None, *FORMATS):
            raise ValueError(f"precision should be None or one of {FORMATS} but is: {self.precision!r}")


@dataclass(frozen=True)
class Pipeline:
    """The stages of one spec, each computed from the one before. Raises SpecError where the spec has errors. What two
    stages need is computed once.
    """

    source: Source
    directory: Path = Path()
    options: Options = Options()

    def tree(self) -> ast.File:
        return parse(self.source)

    def checked(self) -> CheckedSpec:
        return check(self.source, self.directory)

    def program(self) -> Step:
        return lower(self.checked(), self.options.precision)

    def optimized(self) -> Step:
        return self._optimized

    @cached_property
    def _optimized(self) -> Step:
        return optimize(self.program(), self.options.numerics)

    def plan(self) -> Plan:
        """The plan for torch. Its iterations are those of the launches, so that without launches it has none."""
        step = self.optimized()
        return schedule(optimize_for_torch(step, self.options.numerics) if self.launches() else step)

    def launches(self) -> tuple[LaunchPlan, ...]:
        """The plan for GPUs, of the same optimized program; empty for a spec that computes in fp64."""
        return self._launches

    @cached_property
    def _launches(self) -> tuple[LaunchPlan, ...]:
        numerics = self.options.numerics
        step = optimize_for_gpu(self.optimized(), numerics)
        return schedule_launches(step, is_faithful=numerics == "faithful")

    def file(self) -> GeneratedFile:
        spec = self.checked()
        return emit(spec, self.plan(), self.launches(), self.header(spec), standalone=self.options.standalone)

    def header(self, spec: CheckedSpec) -> Header:
        name = self.source.stable_name or self.source.name
        options = self.options
        return Header(__version__, name, fingerprint(spec), options.numerics, options.precision or "as written")
