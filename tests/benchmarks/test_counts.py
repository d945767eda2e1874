"""What a step is counted to do."""

from __future__ import annotations

import torch
from torch.nn import Parameter

from benchmarks.counts import Counted, count, dense_flops, growth, table
from benchmarks.subjects import OTHERS, OURS, REFERENCE, Step, Subject

SHAPES = [(32, 64), (24, 24)]
(torchs,) = (each for each in OTHERS if each.name == REFERENCE)


def test_subjects_are_counted_by_parameter_and_element() -> None:
    found, faithful = count([torchs, OURS[1]], SHAPES, steps=2)
    for each in (found, faithful):
        assert (each.parameters, each.elements, each.products, each.others) == (2, 2048 + 576, 30, 16)
        assert each.flops == 1
        assert each.grown == (0, 0)
        assert (each.left, each.problem) == (0, "")
    # For each parameter a norm is written, clamped from one number to another, and divided by.
    assert found.other_bytes == 54 * found.elements + 2 * (2 + 2 + 2 + 2)
    assert faithful.peak < found.peak


def test_what_is_compiled_or_no_optimizer_is_not_counted() -> None:
    assert [each.subject for each in count(OTHERS, SHAPES, steps=1)] == [REFERENCE]


def test_dense_flops() -> None:
    assert dense_flops([(2, 3)]) == 5 * (2 * 2 * 2 * 3 + 2 * 2 * 2 * 2 + 2 * 2 * 2 * 3)
    assert dense_flops([(3, 2), (2, 3)]) == 2 * dense_flops([(2, 3)])


def hoarding(members: list[Parameter]) -> Step:
    hoard = []
    return lambda: hoard.append(members[0] + 1)


def failing(members: list[Parameter]) -> Step:
    raise ValueError("no such thing\nas this")


def test_growth_is_what_more_steps_leave() -> None:
    assert growth(hoarding([Parameter(torch.zeros(4, 5))]), 7) == (7, 7 * 80)


def test_a_peer_that_fails_is_said_to() -> None:
    found = count([torchs, Subject("hoarding", hoarding), Subject("failing", failing)], SHAPES, steps=3)
    assert [each.grown for each in found[:2]] == [(0, 0), (3, 3 * 16 * 16 * 4)]
    lines = list(table(found))
    assert "+3 tensors, +3072 bytes" in lines[2]
    assert lines[-1] == "  failing  ValueError: no such thing"


def test_the_table_divides_by_parameters_elements_and_torch() -> None:
    reference = Counted(REFERENCE, 4, 100, products=60, others=32, product_bytes=4000, other_bytes=5400, flops=1.0)
    reference.peak = 2**21
    other = Counted("other", 4, 100, products=6, others=2, product_bytes=1000, other_bytes=50, flops=0.625)
    other.peak = 3 * 2**20
    rows = [line.split() for line in table([reference, other])]
    assert rows[1] == [REFERENCE, "15.0", "8.0", "40.0", "54.0", "94.0", "1.00", "2.00", "1.00×", "none"]
    assert rows[2] == ["other", "1.5", "0.5", "10.0", "0.5", "10.5", "0.62", "3.00", "1.50×", "none"]
