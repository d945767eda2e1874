"""docs/family.md says what the specs say now, and bounds errors by what they are now."""

from __future__ import annotations

import re

import pytest

from tests.family.document import DOCUMENT, FROM_SPECS, LEAST, PRECISIONS, bound_above, region, worst, written
from tests.family.table import ENTRIES
from tests.specs import ALL, every_spec_costly

TEXT = DOCUMENT.read_text("utf-8")
LOOSE = 50
"""How many times what is measured a printed bound may be, on another machine than the one that printed it."""


@pytest.mark.parametrize("name", FROM_SPECS)
def test_tables_are_what_the_specs_yield(name: str) -> None:
    assert region(TEXT, name) == FROM_SPECS[name](), "stale: run `make family`"


def rows(name: str) -> dict[str, list[str]]:
    """The cells of a table by the spec of their line."""
    found = re.findall(r"^\| \[(\w+)\]\(\S+\) \| (.*) \|$", region(TEXT, name), re.MULTILINE)
    return {spec: cells.split(" | ") for spec, cells in found}


@pytest.mark.parametrize("name", ["sources", "directions", "steps", "memory", "agreement"])
def test_every_table_has_a_row_for_every_spec(name: str) -> None:
    assert list(rows(name)) == list(ALL)


@every_spec_costly
def test_printed_bounds_hold_and_are_not_far_above_the_errors(name: str) -> None:
    cells = rows("agreement")[name]
    for route, printed in (("matrix", cells[1:3]), ("otherwise", cells[4:6])):
        if ENTRIES[name].reference(route) is None:
            assert printed == ["–", "–"]
            continue
        for precision, bound in zip(PRECISIONS, printed, strict=True):
            measured = worst(name, route, precision)
            assert measured <= float(bound) <= max(LOOSE * measured, LEAST[precision])


def test_bounds_are_rounded_up() -> None:
    assert bound_above(1.2e-6, "fp32") == "5e-6"
    assert bound_above(1.7e-6, "fp32") == "1e-5"
    assert bound_above(1e-16, "fp32") == "1e-6"
    assert bound_above(0, "fp64") == "1e-14"


def test_a_region_is_written_and_read_back_and_others_are_kept() -> None:
    changed = written(TEXT, "memory", "| a |\n")
    assert region(changed, "memory") == "| a |\n"
    assert region(changed, "steps") == region(TEXT, "steps")
    assert written(changed, "memory", region(TEXT, "memory")) == TEXT


def test_what_is_out_of_scope_is_no_spec() -> None:
    names = TEXT.partition("## Out of scope")[2]
    variants = [cell for line in re.findall(r"^\| (.*?) \| ", names, re.MULTILINE) for cell in re.split("[,;] ", line)]
    specs = {spec.replace("_", "") for spec in ALL}
    assert len(variants) > 30
    for variant in variants:
        assert re.sub(r"\W", "", variant.partition(" (")[0].lower()) not in specs
