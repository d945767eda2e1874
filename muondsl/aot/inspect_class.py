"""All kernels of an optimizer class, compiled ahead of time: launches are made over small tensors in main memory, as
the class makes them over those of a model on a device.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import torch

from muondsl.aot.errors import AheadOfTimeError
from muondsl.aot.inspect_launches import inspect_launches
from muondsl.aot.inspection import Inspection
from muondsl.aot.targets import Target
from muondsl.runtime import step_plan

if TYPE_CHECKING:
    from muondsl.runtime import SpecOptimizer

Shapes = Sequence[tuple[int, ...]]

# Each way that a matrix can take: small in one launch, direct and by its Gram matrix, wide and tall, sizes that 16
# divides and others. The kernels are the same for greater sizes; tiles grow until the side is 1024.
SHAPES: Mapping[str, Shapes] = {
    "matrix": ((1024, 1024), (512, 2048), (2048, 512), (1023, 1025), (509, 2041), (64, 256), (33, 17)),
    "otherwise": ((1024, 64), (64,), (7, 3)),
}
DTYPES = (torch.float32, torch.bfloat16)


def inspect_class(
    optimizer_class: type[SpecOptimizer],
    targets: Iterable[Target],
    *,
    shapes: Mapping[str, Shapes] = SHAPES,
    dtypes: Iterable[torch.dtype] = DTYPES,
) -> list[Inspection]:
    """Inspections of every kernel that parameters of these shapes and dtypes need, by dtype, route and target.

    Shapes of other routes than the class has are left out. Raises AheadOfTimeError for a class without kernels.
    """
    name = optimizer_class.__name__
    if not optimizer_class.launches:
        raise AheadOfTimeError(f"{name} has no Triton kernels: it computes in a format that they do not have")
    targets = tuple(targets)
    inspections: list[Inspection] = []
    for dtype in dtypes:
        for route in optimizer_class.launches:
            for target in targets:
                launches = step_plan.launches_of(
                    optimizer_class, route, shapes[route], dtype=dtype, architecture=target.name
                )
                inspections += inspect_launches(launches, (target,), name)
    return _merged(inspections)


def _merged(inspections: Iterable[Inspection]) -> list[Inspection]:
    """Kernels that do not depend on the dtype of parameters come up once for each, and are kept once."""
    found: dict[object, Inspection] = {}
    for one in inspections:
        found.setdefault((one.kernel, one.variant, one.target, one.warps, one.stages, one.registers, one.shared), one)
    order = {one.kernel: place for place, one in reversed(list(enumerate(found.values())))}
    return sorted(found.values(), key=lambda one: (order[one.kernel], one.variant))
