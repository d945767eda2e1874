"""Profiles of specs: what is counted, whom it is attributed to, and that profiled steps are steps like others."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest
import torch
from torch import Tensor

import muondsl
from muondsl.cost.errors import CostError
from muondsl.cost.shapes import Shape
from muondsl.diagnostics.spec_error import SpecError
from muondsl.interface import load_file, pipeline
from muondsl.measure import profile as measured
from muondsl.measure.peaks import Peaks
from muondsl.measure.profile import Kind, Profile, profile_steps
from muondsl.measure.record_calls import AROUND, BETWEEN, Call, Lines, Place, lines_of
from muondsl.measure.report import to_data, to_text
from muondsl.measure.rows import Row, rows_of, slowest, sums_of
from muondsl.measure.work import Work
from muondsl.pipeline import Options
from muondsl.runtime.choose_products import choose_products
from muondsl.runtime.torch_path import PIECE_ELEMENTS
from tests.specs import every_spec, path_of

PEAKS = Peaks(1, {torch.float32: 1e11, torch.bfloat16: 1e11, torch.float16: 1e11, torch.float64: 1e11}, 1e10, 1e-6)
MATRIX = Shape("h.0.attn.weight", (256, 512))
VECTOR = Shape("h.0.attn.bias", (512,))
KIND = Kind("matrix", ("a", "b"), (48, 32))


@pytest.fixture(autouse=True)
def _known_peaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured, "measure_peaks", lambda threads, dtypes: PEAKS)


def profiled(spec: str, *shapes: Shape, steps: int = 1, **choices: Any) -> Profile:
    return profile_steps(path_of(spec), shapes, steps=steps, options=Options(**choices))


def rows(profile: Profile) -> list[Row]:
    return rows_of(profile.kinds, profile.peaks)


def test_bytes_of_sgd_with_momentum() -> None:
    found = {row.place.text: row for row in rows(profiled("sgd_momentum", VECTOR)) if row.place != AROUND}
    assert {text: (row.operators, row.flops, row.bytes) for text, row in found.items()} == {
        "regularised ← u + λ θ": ({"add": 1}, 0, 3 * 512 * 4),
        "m ← μ m + regularised": ({"add_": 1}, 0, 3 * 512 * 4),
        "": ({"add_": 1}, 0, 3 * 512 * 4),
        "Kept as momentum_buffer.": ({"copy_": 1}, 0, 2 * 512 * 4),
    }


@pytest.mark.parametrize("sizes", [(256, 512), (256, 256), (512, 160)])
def test_flops_of_an_iteration_are_those_of_its_products(sizes: tuple[int, int]) -> None:
    short, long = sorted(sizes)
    (iteration,) = muondsl.load(path_of("torch_muon")).iterations["matrix"]
    products = choose_products(iteration, short, long, iteration.dtype, torch.device("cpu"))
    expected: Counter[str] = Counter()
    for operation, _ in products.operations:
        panel = {"outer": products.outer_panel, "square": products.square_panel, "apply": 0}[operation.kind]
        depth = long if operation.kind == "outer" else short
        expected[operation.kind] += 2 * depth * computed(short, long if operation.kind == "apply" else short, panel)
    found = {row.place.part: row.flops for row in rows(profiled("torch_muon", Shape("h.0.weight", sizes)))}
    assert found == {"": 0, **expected, BETWEEN: 0}


def computed(rows: int, cols: int, panel: int) -> int:
    """The elements of a product, of panels those on and right of the diagonal."""
    if not panel:
        return rows * cols
    return sum(min(panel, rows - begin) * (cols - begin) for begin in range(0, rows, panel))


def test_flops_of_a_faithful_iteration_stand_at_its_statements() -> None:
    found = {
        row.place.text: (row.calls, row.flops) for row in rows(profiled("torch_muon", MATRIX, numerics="faithful"))
    }
    long, square = 2 * 256 * 256 * 512, 2 * 256**3
    assert found["polynomial ← b s + c (s s)"] == (5, 5 * square)
    assert found["u ← a u + polynomial u"] == (5, 5 * long)
    assert found["s ← u uᵀ"] == (5, 5 * long)


@every_spec
def test_every_operation_has_its_statement(name: str) -> None:
    """What is around the spec is called by no function of the generated module."""
    shapes = (Shape("h.0.attn.weight", (24, 16)), Shape("h.0.mlp.weight", (16, 24)), Shape("h.0.attn.bias", (16,)))
    profile = profiled(name, *shapes)
    calls = [call for each in profile.kinds for call in each.step.calls]
    stages = {call.place.stage for call in calls}
    checked = pipeline(path_of(name), Options()).checked()
    routes = {each.kind.route for each in profile.kinds}
    updates = {"matrix": checked.matrix, "otherwise": checked.otherwise}
    known = {stage.heading for route in routes if (update := updates[route]) for stage in update.stages}
    assert "apply" in stages
    assert stages <= {*known, "apply", AROUND.stage}
    around = {call.operator for call in calls if call.place == AROUND}
    assert around <= {"add_", "_local_scalar_dense"}
    assert not [call for call in calls if call.place.part == "product"]


@pytest.mark.parametrize("numerics", ["fast", "faithful"])
def test_profiled_steps_have_the_bits_of_others(numerics: Any) -> None:
    spec = path_of("normuon")
    for kind in (KIND, Kind("otherwise", tuple("abcdefghij"), (16,))):
        texts = [trained(spec, numerics, kind, is_profiled=is_profiled) for is_profiled in (True, False)]
        assert all(map(torch.equal, *texts))


def trained(spec: Path, numerics: Any, kind: Kind, *, is_profiled: bool) -> list[Tensor]:
    """Parameters and states after three steps."""
    optimizer, lines = loaded(spec, numerics)
    members = list(measured.random_parameters(kind, torch.float32))
    made = optimizer([{"params": members, "route": kind.route}])
    for _ in range(3):
        if is_profiled:
            assert measured.recorded_step(made, lines).calls
        else:
            made.step()
    states = [state for _, member in members for state in made.state[member].values()]
    return [*(member.detach() for _, member in members), *states]


def loaded(spec: Path, numerics: Any) -> tuple[Any, Lines]:
    stages = pipeline(spec, Options(numerics))
    file = stages.file()
    optimizer: Any = load_file(file, stages.checked())
    functions = {name: optimizer.update_parameter.__globals__[name] for name in file.provenance}
    return optimizer, lines_of(file.text, file.provenance, functions)


def test_shares_sum_to_one() -> None:
    data = to_data(profiled("normuon", MATRIX, VECTOR, steps=2), "two")
    total = data["total"]
    shares = [row["share"] for route in data["routes"] for row in route["statements"]]
    assert math.isclose(sum(shares) + total["outside_seconds"] / total["seconds"], 1)
    assert all(share > 0 for share in shares)
    assert total["outside_seconds"] > 0
    assert total["calls"] == sum(row["calls"] for route in data["routes"] for row in route["statements"])


def test_large_parameters_of_a_shape_are_stepped_once_and_counted_often() -> None:
    large = [Shape(f"h.{layer}.attn.weight", (1024, 1025)) for layer in range(5)]
    small = [Shape(f"h.{layer}.attn.bias", (64,)) for layer in range(9)]
    profile = profiled("sgd_momentum", *large, *small)
    assert [(each.kind.taken, each.kind.factor) for each in profile.kinds] == [(1, 5), (9, 1)]
    row = next(row for row in rows(profile) if row.place.text == "regularised ← u + λ θ")
    pieces = math.ceil(1024 * 1025 / PIECE_ELEMENTS)
    assert row.calls == 5 * pieces + 1  # the small ones are a stack
    assert row.bytes == 3 * 4 * sum(shape.numel for shape in (*large, *small))
    assert "stepped: 1 of 5 (1024 × 1025), 9 of 9 (64)" in to_text(profile, "some")


def test_what_the_machine_cannot_hold_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A momentum beside parameter and gradient: 12 bytes an element, twice."""
    large = Shape("head.weight", (1024, 1024))
    monkeypatch.setattr(measured.os, "sysconf", {"SC_PAGE_SIZE": 2**20, "SC_PHYS_PAGES": 24}.__getitem__)
    assert profiled("sgd_momentum", large, steps=1).kinds
    monkeypatch.setattr(measured.os, "sysconf", {"SC_PAGE_SIZE": 2**20, "SC_PHYS_PAGES": 23}.__getitem__)
    message = r"^head\.weight takes 0\.0117 GiB with its gradient and states, too much .* 0\.0225 GiB of this machine$"
    with pytest.raises(CostError, match=message):
        profiled("sgd_momentum", large, steps=1)


def test_the_median_step_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of its figures, so that its parts have its sum."""
    seconds = iter((99.0, 3.0, 1.0, 2.0))
    monkeypatch.setattr(
        measured, "recorded_step", lambda optimizer, lines: measured.MeasuredStep((), next(seconds), 0.0)
    )
    (found,) = profiled("sgd_momentum", VECTOR, steps=3).kinds
    assert found.step.seconds == 2.0


def test_the_time_that_the_profile_takes_is_left_out() -> None:
    optimizer, lines = loaded(path_of("normuon"), "fast")
    made = optimizer([{"params": list(measured.random_parameters(KIND, torch.float32)), "route": "matrix"}])
    measured.recorded_step(made, lines)
    begin = perf_counter()
    step = measured.recorded_step(made, lines)
    elapsed = perf_counter() - begin
    assert 0 < step.own_seconds < elapsed - step.seconds
    assert sum(call.seconds for call in step.calls) < step.seconds


def test_what_bounds_an_operation() -> None:
    assert slowest(Work(0, 10**6), PEAKS) == ("memory", 1e-4)
    assert slowest(Work(10**8, 10**6, torch.float32), PEAKS) == ("products", 1e-3)
    assert slowest(Work(0, 8), PEAKS) == ("calls", 1e-6)


def test_a_row_is_held_to_the_peak_of_each_operation() -> None:
    place = Place("a stage", "a formula")
    calls = (
        Call(place, "mm", 2e-3, Work(10**8, 10**6, torch.float32)),
        Call(place, "mul", 4e-4, Work(0, 10**6)),
    )
    step = measured.MeasuredStep(calls, 3e-3, 1.0)
    kind = measured.MeasuredKind(Kind("matrix", ("a", "b"), (2048, 2048)), step, 2e-3)
    (row,) = rows_of([kind], PEAKS)
    assert (row.calls, row.bound) == (4, "products")
    assert row.seconds == pytest.approx(4.8e-3)
    assert row.of_peak == pytest.approx(1.1e-3 / 2.4e-3)
    sums = sums_of([kind])
    assert (sums.operations, sums.outside, sums.plain) == pytest.approx((4.8e-3, 1.2e-3, 4e-3))


def test_what_a_spec_has_no_rule_for_is_left_out() -> None:
    profile = profiled("torch_muon", MATRIX, VECTOR)
    assert [shape.name for shape in profile.left_out] == [VECTOR.name]
    assert "left out: 1 parameter, 512 elements" in to_text(profile, "two")
    with pytest.raises(CostError, match="TorchMuon takes none of these parameters"):
        profiled("torch_muon", VECTOR)


def test_errors_of_a_spec_are_raised() -> None:
    with pytest.raises(SpecError):
        profile_steps("optimizer Mine\n", [MATRIX])


@pytest.mark.parametrize("dtype", ["bf16", "fp16"])
def test_parameters_in_16_bits(dtype: Any) -> None:
    profile = profile_steps(path_of("adamw"), [VECTOR], parameters=dtype, steps=1)
    row = next(row for row in rows(profile) if row.place.stage == "apply")
    assert row.bytes == 3 * 2 * 512


def test_lines_of_the_report_fit() -> None:
    shapes = [Shape(f"h.{layer}.attn.weight", (16 + layer, 24)) for layer in range(20)]
    text = to_text(profiled("nanochat", *shapes, VECTOR), "some")
    assert max(map(len, text.splitlines())) <= 120
