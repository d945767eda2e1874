"""Every spec against formulas written down apart from it, in float64: `tests/reference`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from typing import Any

import pytest
import torch

from muondsl.ir.types import Format
from tests.family.distances import MATRICES, distances
from tests.family.entry import Entry, Shape
from tests.family.movements import default_group, expected_movement, hypers_of, movement, taken_by
from tests.family.table import ENTRIES, IDENTICAL
from tests.parity.trajectories import SHAPES, loaded, relative
from tests.specs import ALL, CORE

OTHERS: tuple[Shape, ...] = ((48,), (8, 3, 3, 3), (), (17, 33))
BOUNDS: dict[Format, float] = {"fp32": 1e-5, "fp64": 1e-10}


def error(spec: str, reference: str, route: str, shape: Shape, kind: str, precision: Format) -> float:
    """Relative, of the movement of a spec from the one that a reference gives."""
    ours, theirs = ENTRIES[spec], ENTRIES[reference]
    step_of = theirs.reference(route)
    assert step_of is not None
    found = movement(spec, route, shape, kind, precision, hypers_of(ours, route))
    return relative(found, expected_movement(step_of, shape, kind, hypers_of(theirs, route), theirs.names))


def bound(entry: Entry, shape: Shape, kind: str, precision: Format) -> float:
    exceptions = entry.single if precision == "fp32" else entry.double
    return max([BOUNDS[precision], *(each.bound for each in exceptions if each.covers(kind, shape))])


def routes(entry: Entry) -> Iterator[str]:
    for route in ("matrix", "otherwise"):
        if entry.reference(route):
            yield route


def cases() -> Iterator[Any]:
    for entry in ENTRIES.values():
        for route in routes(entry):
            for kind in entry.kinds:
                for shape in (*SHAPES, *entry.filters) if route == "matrix" else OTHERS:
                    name = "x".join(map(str, shape)) or "scalar"
                    yield pytest.param(entry.spec, route, shape, kind, id=f"{entry.spec}-{route}-{name}-{kind}")


@pytest.mark.parametrize(("spec", "route", "shape", "kind"), list(cases()))
def test_a_parameter_moves_as_the_reference_says(spec: str, route: str, shape: Shape, kind: str) -> None:
    for precision in BOUNDS:
        assert error(spec, spec, route, shape, kind, precision) <= bound(ENTRIES[spec], shape, kind, precision)


# Defaults


@pytest.mark.parametrize("spec", ENTRIES)
def test_the_defaults_are_those_of_the_original(spec: str) -> None:
    entry = ENTRIES[spec]
    for route in routes(entry):
        expected = {**entry.defaults, **(entry.other_defaults if route == "otherwise" else {})}
        assert default_group(spec, route) == expected


@pytest.mark.parametrize("spec", ENTRIES)
def test_with_its_defaults_a_spec_moves_as_the_reference_with_the_original_s(spec: str) -> None:
    entry = ENTRIES[spec]
    for route in routes(entry):
        shape, kind = (17, 33), entry.kinds[0]
        step_of = entry.reference(route)
        assert step_of is not None
        defaults = {**entry.defaults, **(entry.other_defaults if route == "otherwise" else {})}
        found = movement(spec, route, shape, kind, "fp64", {"lr": defaults["lr"]})
        expected = expected_movement(step_of, shape, kind, defaults, entry.names)
        assert relative(found, expected) <= bound(entry, shape, kind, "fp64")


# The table


def test_every_spec_has_an_entry() -> None:
    assert sorted(ENTRIES) == list(ALL)


@pytest.mark.parametrize("spec", ENTRIES)
def test_every_route_has_a_reference(spec: str) -> None:
    assert set(routes(ENTRIES[spec])) == set(loaded(spec).states)


@pytest.mark.parametrize("spec", ENTRIES)
def test_every_hyper_is_one_of_a_reference(spec: str) -> None:
    """So that none has an effect that no reference knows of."""
    entry = ENTRIES[spec]
    taken = {name for route in routes(entry) for name in taken_by(entry.reference(route))}
    assert {entry.names.get(name, name) for name in entry.defaults} <= taken


# Routes


@pytest.mark.parametrize("spec", [spec for spec in ENTRIES if loaded(spec).routes])
def test_hidden_matrices_are_matrices_and_other_shapes_are_not(spec: str) -> None:
    shapes = {"hidden.weight": (6, 4), "hidden.bias": (6,), "embedding.weight": (9, 4), "lm_head.weight": (9, 6)}
    named = [(name, torch.nn.Parameter(torch.zeros(shape))) for name, shape in shapes.items()]
    found = {name: group["route"] for group in loaded(spec)(named).param_groups for name in group["param_names"]}
    ends = {each: "matrix" if each in ENTRIES[spec].matrices else "otherwise" for each in ("embedding", "head")}
    assert found == {
        "hidden.weight": "matrix",
        "hidden.bias": "otherwise",
        "embedding.weight": ends["embedding"],
        "lm_head.weight": ends["head"],
    }


# Who passes for whom


@pytest.mark.parametrize("spec", MATRICES)
def test_no_spec_passes_for_another(spec: str) -> None:
    """Whatever two specs differ in shows: the nearest two, at the probe that tells them apart, by four hundredths."""
    for reference in MATRICES:
        if reference != spec and (spec, reference) not in IDENTICAL:
            assert distances()[spec, reference] > 0.01, reference


@pytest.mark.parametrize(("spec", "reference"), IDENTICAL)
def test_specs_with_one_update_differ_elsewhere(spec: str, reference: str) -> None:
    assert distances()[spec, reference] < BOUNDS["fp64"]
    assert ENTRIES[spec].defaults != ENTRIES[reference].defaults
    assert error(spec, reference, "otherwise", (17, 33), "tiny", "fp64") > 0.01


@pytest.mark.parametrize("spec", MATRICES)
def test_a_spec_is_near_its_own_reference(spec: str) -> None:
    assert distances()[spec, spec] <= max([BOUNDS["fp64"], *(each.bound for each in ENTRIES[spec].double)])


@pytest.mark.parametrize(("spec", "reference"), list(permutations((name for name in CORE if ENTRIES[name].other), 2)))
def test_no_aux_adam_passes_for_another(spec: str, reference: str) -> None:
    assert error(spec, reference, "otherwise", (17, 33), "tiny", "fp64") > 0.01
