"""`verify`: every spec agrees, and a defect of the compiler is seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch

import muondsl
from muondsl import agreement
from muondsl.agreement import spec_to_agreement
from muondsl.agreement.interpreted import Request, run_interpreted
from muondsl.agreement.trial import Truncation
from muondsl.emit import torch_statements
from muondsl.ir import program as ir
from muondsl.ir import scalar as sc
from muondsl.ir.interpreter import Noise
from muondsl.ir.types import PARAM, DType
from muondsl.optimize import order
from tests.specs import CORE, every_spec_costly, path_of


@cache
def verified(name: str) -> agreement.Agreement:
    """The paths of torch; kernels of every spec are the subject of `tests/triton/test_interpreted_specs.py`."""
    return agreement.verify(path_of(name), interpreter=False)


@every_spec_costly
def test_every_path_of_a_spec_agrees_with_the_oracle(name: str) -> None:
    found = verified(name)
    assert found.is_good, str(found)
    routes = 2 if "otherwise" in str(found) else 1
    assert len(found.rows) == len(agreement.WAYS) * (6 + 4 * (routes - 1))


@pytest.mark.parametrize("name", CORE)
def test_in_fp32_the_movement_is_right_to_five_digits(name: str) -> None:
    """Nanochat with one row or column is the exception: Polar Express magnifies rounding there two hundred times."""
    for row in verified(name).rows:
        is_magnified = name == "nanochat" and row.route == "matrix" and 1 in row.shape
        if "fp32" in row.path and row.dtype == "float32":
            assert row.error <= (5e-5 if is_magnified else 1e-5), row


def test_the_table_prints_every_comparison_and_the_fingerprint() -> None:
    found = verified(CORE[-1])
    text = str(found)
    assert found.fingerprint in text
    assert f"{len(found.rows)} of {len(found.rows)} comparisons agree" in text
    assert text.count("\n") == len(found.rows) + 5


def test_the_table_marks_what_is_wrong() -> None:
    row = agreement.Row("matrix", "torch fast fp32", "float32", (3, 4), 1e-3, 1e-5)
    found = agreement.Agreement("Wrong", "sha256:0", (row,))
    assert not found.is_good
    assert "TOO LARGE" in str(found)
    assert "0 of 1 comparisons agree" in str(found)


def swapped_factors(definition: ir.Definition) -> ir.Operation:
    match definition.operation:
        case ir.Gemm(alpha, left, right, beta, addend):
            return ir.Gemm(beta, left, right, alpha, addend)
    return definition.operation


def forgotten_sign(definition: ir.Definition) -> ir.Operation:
    match definition.operation:
        case ir.Map("add_scaled", (start, change, sc.Call("-", (factor,)))):
            return ir.Map("add_scaled", (start, change, factor))
    return definition.operation


def slightly_wrong_coefficient(definition: ir.Definition) -> ir.Operation:
    match definition.operation:
        case ir.Gemm(alpha, left, right, sc.Named(name, sc.Number("3.4445"), True), addend):
            return ir.Gemm(alpha, left, right, sc.Named(name, sc.Number("3.4446"), True), addend)
    return definition.operation


def wrong_weight(definition: ir.Definition) -> ir.Operation:
    match definition.operation:
        case ir.Map("lerp", (start, end, sc.Call("-", (_, weight)))):
            return ir.Map("lerp", (start, end, weight))
    return definition.operation


def unscaled_decay(definition: ir.Definition) -> ir.Operation:
    match definition.operation:
        case ir.Map("*", (str() as parameter, sc.Call("-", (one, sc.Call("*", (_, decay)))))):
            return ir.Map("*", (parameter, sc.Call("-", (one, decay))))
    return definition.operation


DEFECTS: dict[str, Callable[[ir.Definition], ir.Operation]] = {
    each.__name__: each
    for each in (swapped_factors, forgotten_sign, slightly_wrong_coefficient, wrong_weight, unscaled_decay)
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defect_of_a_pass_is_seen(defect: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pass that changes meaning by as little as a digit of a coefficient makes `verify` fail."""

    def broken(program: ir.Program) -> ir.Program:
        changed = tuple(replace(each, operation=DEFECTS[defect](each)) for each in program.definitions)
        assert changed != program.definitions
        return replace(program, definitions=changed)

    monkeypatch.setattr(order, "FAITHFUL", (*order.FAITHFUL, broken))
    found = agreement.verify(path_of("torch_muon"), interpreter=False)
    assert any(not row.is_good for row in found.rows if "faithful" in row.path)
    assert all(row.is_good for row in found.rows if "fast fp" in row.path)


def test_a_defect_of_the_printer_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(torch_statements.IN_PLACE, "*", "div_")
    assert not muondsl.verify("specs/torch_muon.muon", interpreter=False).is_good


PLAIN = """optimizer Plain
hyper lr = 0.1
hyper beta = 0.75
momentum nesterov(beta = beta)
"""


def kernels_of(found: agreement.Agreement) -> list[agreement.Row]:
    return [row for row in found.rows if row.path.startswith("triton")]


def test_kernels_are_compared_with_the_oracle_and_with_torch() -> None:
    found = agreement.verify(PLAIN)
    assert found.is_good, str(found)
    shapes = len(spec_to_agreement.MATRICES + spec_to_agreement.TILED)
    rows = kernels_of(found)
    # Parameters of 16 bits are compared with the oracle alone, which begins every step anew.
    assert len(rows) == shapes * (2 * len(agreement.INTERPRETED) - 1)
    assert {row.against for row in rows} == {"oracle", "torch"}
    assert max(row.error for row in rows if row.dtype == "float32") < 1e-6


def test_a_defect_of_kernels_alone_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(program: ir.Program) -> ir.Program:
        changed = tuple(replace(each, operation=wrong_weight(each)) for each in program.definitions)
        assert changed != program.definitions
        return replace(program, definitions=changed)

    monkeypatch.setattr(order, "GPU_FAST", (*order.GPU_FAST, broken))
    rows = agreement.verify(PLAIN).rows
    assert {row.path.split()[:2] == ["triton", "fast"] for row in rows if not row.is_good} == {True}
    assert not any(row.is_good for row in rows if row.path == "triton fast fp32")


def test_without_triton_a_line_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spec_to_agreement, "has_triton", lambda: False)
    found = agreement.verify(PLAIN)
    assert found.is_good
    assert not kernels_of(found)
    assert "Triton is not installed (pip install triton)" in str(found)


def test_a_spec_without_kernels_says_so() -> None:
    found = agreement.verify(PLAIN + "adapt { in fp64 { update <- update * 2 } }\n")
    assert not kernels_of(found) or {row.path for row in kernels_of(found)} < {
        way.name for way in agreement.INTERPRETED
    }
    assert "no kernels are compared for what has none" in str(found)


def test_kernels_that_stop_are_an_error_with_what_they_said(tmp_path: Path) -> None:
    path = tmp_path / "stopping.py"
    path.write_text("raise RuntimeError('out of order')\n", "utf-8")
    with pytest.raises(RuntimeError, match="out of order"):
        run_interpreted([Request(path, "Stopping", [], [], {})])


def test_truncation_is_towards_zero_by_less_than_one_place() -> None:
    value = torch.tensor([1.0, -1.0], dtype=torch.float64).repeat(1000)
    cut = (Truncation(torch.float32, 0).disturb(value, DType("bf16")) / value - 1).neg()
    eps = torch.finfo(torch.bfloat16).eps
    assert cut.min() >= 0
    assert 0.9 * eps < cut.max() <= eps
    assert torch.equal(
        Truncation(torch.float32, 0).disturb(value, PARAM), Noise(torch.float32, 0).disturb(value, PARAM)
    )


def test_the_noise_of_the_oracle_is_that_of_the_formats() -> None:
    value = torch.ones(1000, dtype=torch.float64)
    off = (Noise(torch.float32, 0).disturb(value, PARAM) - 1).abs().max()
    assert 0.4 * torch.finfo(torch.float32).eps < off <= 0.5 * torch.finfo(torch.float32).eps


def test_noise_below_the_normal_numbers_of_a_format_is_as_large_as_their_spacing() -> None:
    spacing = 2.0**-24
    found = Noise(torch.float16, 0).disturb(torch.full((1000,), 1.5 * spacing, dtype=torch.float64), PARAM)
    assert set((found / spacing).tolist()) == {1.0, 2.0}
    assert found.mean() == pytest.approx(1.5 * spacing, rel=0.05)
    assert not Noise(torch.float16, 0).disturb(torch.zeros(10, dtype=torch.float64), PARAM).any()
