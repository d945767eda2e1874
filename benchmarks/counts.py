"""What a step dispatches, moves and holds: counted, not timed, and the same on every run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from benchmarks.dispatched import Dispatched
from benchmarks.held_tensors import held_by_process
from benchmarks.parameter_sets import Shape
from benchmarks.subjects import BARE, COMPILED, REFERENCE, Step, Subject, parameters, problem_of, with_gradients
from benchmarks.text_table import text_table
from muondsl.measure.peaks import threads_of_torch
from muondsl.runtime.live_bytes import LiveBytes

COUNTED = ("gpt2-small", "many small")
GROWING: list[Shape] = [(16, 16)] * 9 + [(16, 48), (48, 16)]
"""Parameters that are stepped many times: some in a stack, some one by one."""

STEPS = 5
"""Of the usual iteration, whose products FLOPs are relative to."""


@dataclass
class Counted:
    """Sums over all parameters of a set. `flops` is relative to the usual iteration's, every product dense. `peak` is
    what the step holds at its height beside parameters, gradients and states, `left` what it leaves behind, both in
    bytes. `grown` is how many tensors and bytes more the process holds after many steps than after few.
    """

    subject: str
    parameters: int
    elements: int
    products: int = 0
    others: int = 0
    product_bytes: int = 0
    other_bytes: int = 0
    flops: float = 0.0
    peak: int = 0
    left: int = 0
    grown: tuple[int, int] = (0, 0)
    problem: str = ""


def count(subjects: Sequence[Subject], shapes: Sequence[Shape], *, steps: int = 100) -> list[Counted]:
    """Counts a second step of each, on one thread, as only the caller's is seen, and without what torch.compile would
    make of it. `subjects` of which torch.compile makes all are left out, as are bare products.
    """
    found = []
    for subject in subjects:
        if subject.name in (BARE, COMPILED):
            continue
        counted = Counted(subject.name, len(shapes), sum(rows * cols for rows, cols in shapes))
        found.append(counted)
        with threads_of_torch(1), torch.compiler.set_stance("force_eager"):
            try:
                _count_step(counted, _step_of(subject, shapes), dense_flops(shapes))
                counted.grown = growth(_step_of(subject, GROWING), steps)
            except Exception as error:  # A peer may fail in any way, and the others are counted all the same.
                counted.problem = problem_of(error)
    return found


def growth(step: Step, steps: int) -> tuple[int, int]:
    """The tensors and the bytes that the process holds after so many steps more than after five."""
    for _ in range(5):
        step()
    tensors, size = held_by_process()
    for _ in range(steps):
        step()
    tensors_then, size_then = held_by_process()
    return tensors_then - tensors, size_then - size


def dense_flops(shapes: Sequence[Shape]) -> int:
    """x xᵀ, s s and s x for every step, without use of symmetry."""
    sides = [(min(shape), max(shape)) for shape in shapes]
    return sum(STEPS * (4 * short * short * long + 2 * short**3) for short, long in sides)


def table(found: Sequence[Counted]) -> Iterator[str]:
    """Operations are for each parameter, bytes for each element, memory is in MiB and in torch.optim.Muon's."""
    reference = next(each for each in found if each.subject == REFERENCE)
    heading = ("", "products", "others", "bytes of products", "of others", "of all", "FLOPs", "peak MiB", "of torch's")
    rows = [_row(each, reference) for each in found if not each.problem]
    yield from text_table((*heading, "growth"), rows)
    yield from (f"  {each.subject}  {each.problem}" for each in found if each.problem)


def _row(one: Counted, reference: Counted) -> tuple[str, ...]:
    both = one.product_bytes + one.other_bytes
    return (
        one.subject,
        *(f"{each / one.parameters:.1f}" for each in (one.products, one.others)),
        *(f"{each / one.elements:.1f}" for each in (one.product_bytes, one.other_bytes, both)),
        f"{one.flops:.2f}",
        f"{one.peak / 2**20:.2f}",
        f"{one.peak / reference.peak:.2f}×" if reference.peak else "",
        "{:+d} tensors, {:+d} bytes".format(*one.grown) if any(one.grown) else "none",
    )


def _step_of(subject: Subject, shapes: Sequence[Shape]) -> Step:
    members = parameters(shapes)
    return with_gradients(subject.make(members), members)


def _count_step(counted: Counted, step: Step, dense: int) -> None:
    with Dispatched(computes_products=False):
        step()
    # The mode that is entered last sees an operation first, and of a product only what takes its place.
    with Dispatched(computes_products=False) as dispatched, LiveBytes() as live:
        step()
    counted.products, counted.others = dispatched.products, dispatched.others
    counted.product_bytes, counted.other_bytes = dispatched.product_bytes, dispatched.other_bytes
    counted.flops = dispatched.flops / dense
    counted.peak, counted.left = live.peak, live.now
