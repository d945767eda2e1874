"""Masters in fp32, rounding at random, and gradients in other formats, by kernels in Triton's interpreter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

import muondsl
from muondsl.runtime.random_bits import rounded_at_random
from tests.triton.interpreted import interpreted
from tests.triton.runs import (
    BF16,
    FP16,
    FP32,
    LAYOUTS,
    SHAPES,
    Run,
    assert_same,
    assert_skipped_and_scaled,
    scaled_and_plain,
    transposed,
)
from tests.triton.stepping import loaded, save_findings

pytestmark = pytest.mark.timeout(1200)

SPECS = ("moonlight", "nanochat")
NUMERICS = ("fast", "faithful")
SEED = 2**40 + 5

VIEWED = """optimizer Viewed
hyper lr = 0.1
view flatten where ndim == 4
view batch where ndim == 3
view transpose, split(2) where ndim == 2
momentum nesterov_heavy_ball(0.9)
orthogonalize newton_schulz(steps = 2, coefficients = keller_jordan, eps = 1e-7, dtype = fp32)
adapt normuon(0.95)
"""
STORED: list[tuple[int, ...]] = [(6, 8), (16, 32), (3, 4, 5), (4, 3, 2, 2)]
VIEWS = {
    "views": {"as_matrices": True},
    "views of what lies transposed": {"as_matrices": True, "form": transposed},
}


# Masters


def masters(kind: Any, shapes: Sequence[tuple[int, ...]], dtype: torch.dtype, **how: Any) -> dict[str, Any]:
    """Two steps of parameters with masters, and of parameters in fp32 that hold the same numbers."""
    wide = {name: value for name, value in how.items() if name != "gradients"}
    return {
        "narrow": Run(kind, shapes, dtype, master_weights=True, **how).steps(2),
        "wide": Run(kind, shapes, FP32, through=dtype, **wide).steps(2),
    }


def as_the_interpreter_rounds(master: Tensor, dtype: torch.dtype) -> Tensor:
    """It cuts off what bf16 does not hold."""
    return (master.view(torch.int32) & -65536).view(FP32).to(BF16) if dtype == BF16 else master.to(dtype)


def assert_masters(found: dict[str, Any], dtype: torch.dtype) -> None:
    for narrow, wide in zip(found["narrow"], found["wide"], strict=True):
        parameter, master = narrow.pop("parameter"), narrow.pop("master")
        assert_same([{**narrow, "parameter": master}], [wide])
        assert parameter.dtype == dtype
        assert torch.equal(parameter, as_the_interpreter_rounds(master, dtype))


@pytest.mark.parametrize("dtype", [BF16, FP16])
@pytest.mark.parametrize("numerics", NUMERICS)
@pytest.mark.parametrize("spec", SPECS)
def test_masters_and_states_are_bitwise_those_of_fp32(spec: str, numerics: str, dtype: torch.dtype) -> None:
    assert_masters(interpreted(__name__)[spec, numerics, dtype], dtype)


@pytest.mark.parametrize("how", [*LAYOUTS, *VIEWS, "gradients in fp32"])
def test_masters_lie_and_are_seen_as_their_parameters_are(how: str) -> None:
    assert_masters(interpreted(__name__)["masters", how], FP16)


def test_masters_are_left_by_a_skipped_step() -> None:
    assert_skipped_and_scaled(interpreted(__name__)["masters", "scaled"])


# Rounding at random


def rounded(kind: Any, shapes: Sequence[tuple[int, ...]], **how: Any) -> list[tuple[Any, Any, int]]:
    """One step: each parameter rounded at random, one in fp32 that holds the same numbers, and its number. The states
    of a second step would have been narrowed.
    """
    narrow = Run(kind, shapes, BF16, stochastic_rounding=SEED, **how)
    wide = Run(kind, shapes, FP32, through=BF16, **how)
    order = [narrow.number_of(place) for place in range(len(shapes))]
    return list(zip(narrow.steps(1), wide.steps(1), order, strict=True))


def assert_rounded_as_by_torch(found: list[tuple[Any, Any, int]]) -> None:
    for narrow, wide, number in found:
        assert torch.equal(narrow["parameter"], rounded_at_random(wide["parameter"], SEED, 1, number))
        assert float(narrow["step"]) == 1
    cut = [torch.equal(own["parameter"], as_the_interpreter_rounds(wide["parameter"], BF16)) for own, wide, _ in found]
    assert not all(cut)


@pytest.mark.parametrize("numerics", NUMERICS)
@pytest.mark.parametrize("spec", SPECS)
def test_kernels_round_as_the_torch_path_does(spec: str, numerics: str) -> None:
    assert_rounded_as_by_torch(interpreted(__name__)[spec, numerics, "random"])


@pytest.mark.parametrize("how", [*LAYOUTS, *VIEWS])
def test_elements_are_counted_in_the_parameter_however_it_lies_and_is_seen(how: str) -> None:
    assert_rounded_as_by_torch(interpreted(__name__)["random", how])


@pytest.mark.parametrize("way", ["in turns", "counted on the device"])
def test_the_way_of_stepping_changes_no_random_bit(way: str) -> None:
    found = interpreted(__name__)["random", "ways"]
    assert_same(found[way], found["whole"])


def test_a_skipped_step_takes_no_random_bits() -> None:
    assert_skipped_and_scaled(interpreted(__name__)["random", "scaled"])


def ways(kind: Any) -> dict[str, Any]:
    options: dict[str, dict[str, Any]] = {
        "whole": {},
        "in turns": {"workspace": 26_000},
        "counted on the device": {"capturable": True},
    }
    return {way: Run(kind, SHAPES, BF16, stochastic_rounding=3, **own).steps(3) for way, own in options.items()}


# What is said of them, and compiled


@pytest.mark.parametrize("option", ["master_weights", "stochastic_rounding"])
def test_descriptions_are_of_the_launches_that_run(option: str) -> None:
    before, after = interpreted(__name__)["described", option]
    assert before == after
    assert ("ROUNDING=bf16" if option == "master_weights" else "ROUNDING=random") in before


def described(option: str) -> tuple[str, str]:
    run = Run(loaded("nanochat", precision="fp32"), SHAPES, BF16, **{option: True if option == "master_weights" else 1})
    before = run.optimizer.describe()
    run.step(0)
    return before, run.optimizer.describe()


@pytest.mark.parametrize("target", ["sm_80", "sm_90", "gfx942"])
@pytest.mark.parametrize("route", ["matrix", "otherwise"])
def test_kernels_with_masters_and_random_rounding_compile(target: str, route: str) -> None:
    """Without spills, and storing 16 bytes at a time where tensors are aligned."""
    from muondsl.aot.inspect_launches import inspect_launches
    from muondsl.aot.targets import find_target
    from muondsl.runtime.precision import Precision
    from muondsl.runtime.step_plan import launches_of

    shapes: list[tuple[int, ...]] = [(64, 128), (33, 17)] if route == "matrix" else [(1024,), (7, 3)]
    for precision, word in ((Precision(master_weights=True), "ROUNDING=bf16"), (Precision(seed=1), "ROUNDING=random")):
        kind = loaded("moonlight")
        launches = launches_of(kind, route, shapes, dtype=BF16, precision=precision, architecture=target)
        own = [each for each in launches if "ROUNDING" in each.constants]
        inspections = inspect_launches(own, [find_target(target)])
        assert len(inspections) == 2
        for each in inspections:
            print(f"\n{each.kernel} {each.variant} {target}: {each.registers} registers", end="")
            assert each.spills == 0
            assert word in each.variant
            if "IS_ALIGNED" in each.variant:
                assert all(set(widths) == {16} for widths in each.stores.counts.values())


if __name__ == "__main__":
    cases: dict[Any, Any] = {}
    for spec in SPECS:
        for numerics in NUMERICS:
            kind = loaded(spec, precision="fp32", numerics=numerics)
            for dtype in (BF16, FP16):
                cases[spec, numerics, dtype] = lambda kind=kind, dtype=dtype: masters(kind, SHAPES, dtype)
            cases[spec, numerics, "random"] = lambda kind=kind: rounded(kind, SHAPES)
    nanochat, moonlight, viewed = loaded("nanochat", precision="fp32"), loaded("moonlight"), muondsl.load(VIEWED)
    for name, form in LAYOUTS.items():
        cases["masters", name] = lambda form=form: masters(nanochat, SHAPES, FP16, form=form)
        cases["random", name] = lambda form=form: rounded(nanochat, SHAPES, form=form)
    for name, how in VIEWS.items():
        cases["masters", name] = lambda how=how: masters(viewed, STORED, FP16, **how)
        cases["random", name] = lambda how=how: rounded(viewed, STORED, **how)
    cases["masters", "gradients in fp32"] = lambda: masters(nanochat, SHAPES, FP16, gradients=FP32)
    cases["masters", "scaled"] = lambda: scaled_and_plain(
        nanochat, SHAPES, FP16, gradients=FP32, master_weights=True, capturable=True
    )
    cases["random", "ways"] = lambda: ways(nanochat)
    cases["random", "scaled"] = lambda: scaled_and_plain(nanochat, SHAPES, BF16, stochastic_rounding=3, capturable=True)
    for option in ("master_weights", "stochastic_rounding"):
        cases["described", option] = lambda option=option: described(option)
    save_findings(cases)
