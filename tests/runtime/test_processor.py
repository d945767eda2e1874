"""Files of processors: what is found in them, and what is said of malformed ones."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from muondsl.runtime import processor as module
from muondsl.runtime.processor import (
    PROCESSORS_FORMAT,
    MalformedProcessorsError,
    Processor,
    ProductRate,
    processor_name,
    read_processors,
    this_processor,
    to_processors_file,
    usual_processor,
)

RATES = {name: {"flops": 1e11, "panel": 0.5} for name in ("bfloat16", "float16", "float32")}
ROW: dict[str, Any] = {"name": "one", "products": RATES, "bandwidth": 1e10, "call": 1e-6}


@pytest.fixture(autouse=True)
def _asked_anew() -> Iterator[None]:
    for cached in (this_processor, module._capabilities):
        cached.cache_clear()
    yield
    for cached in (this_processor, module._capabilities):
        cached.cache_clear()


def written(path: Path, *rows: Any) -> Path:
    file = path / "processors.json"
    file.write_text(json.dumps({"format": PROCESSORS_FORMAT, "processors": list(rows)}), "utf-8")
    return file


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    rates = [ProductRate(dtype, 3e10 + number, 0.25) for number, dtype in enumerate(module.MEASURED_DTYPES)]
    double = ProductRate(torch.float64, rates[-1].flops / 2, 0.25)
    one = Processor("one", (*rates, double), bandwidth=2e10, call=3e-6, is_measured=True)
    path = tmp_path / "processors.json"
    path.write_text(to_processors_file([one]), "utf-8")
    assert read_processors(path) == (one,)


def test_the_entry_of_this_processor_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = written(tmp_path, {**ROW, "name": f"not {processor_name()}"})
    monkeypatch.setenv("MUONDSL_CPU", str(other))
    assert not this_processor().is_measured
    this_processor.cache_clear()
    written(tmp_path, ROW, {**ROW, "name": processor_name(), "bandwidth": 5e9})
    assert (this_processor().is_measured, this_processor().bandwidth) == (True, 5e9)


def test_without_a_file_units_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MUONDSL_CPU", raising=False)
    assert this_processor() == usual_processor(module._capabilities())
    single = usual_processor({}).rate(torch.float32).flops
    assert usual_processor({}).rate(torch.bfloat16).flops < single
    assert usual_processor({"amx_bf16": True}).rate(torch.bfloat16).flops > single
    assert usual_processor({"amx_bf16": True}).rate(torch.float16).flops < single


def test_a_cpu_of_which_torch_says_nothing_is_taken_to_have_units(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    monkeypatch.delenv("MUONDSL_CPU", raising=False)
    assert this_processor().rate(torch.bfloat16).flops > this_processor().rate(torch.float32).flops


def test_panels_of_many_rows_lose_little() -> None:
    rate = ProductRate(torch.float32, 100.0, 0.8)
    assert [rate.of_panel(rows) for rows in (64, 128, 256, 1280)] == pytest.approx([80.0, 80.0, 90.0, 98.0])


MALFORMED: dict[str, tuple[dict[str, Any], str]] = {
    "unknown entry": ({"speed": 1}, "has unknown entries: speed"),
    "no name": ({"name": 3}, "name should be a text but is: 3"),
    "no bandwidth": ({"bandwidth": 0}, "bandwidth should be above 0 but is: 0.0"),
    "infinite": ({"call": float("inf")}, "call should be above 0 but is: inf"),
    "no products": ({"products": 3}, "products: should be an object"),
    "unknown format": ({"products": {**RATES, "int8": {}}}, "products: has unknown entries: int8"),
    "missing format": (
        {"products": {name: RATES[name] for name in ("bfloat16", "float32")}},
        "products: has no float16",
    ),
    "no number of 64 bits": ({"call": 10**400}, "call should be a number of 64 bits but has 401 digits"),
    "no rate": (
        {"products": {**RATES, "float32": {"flops": "fast", "panel": 1}}},
        "products, float32: flops should be a number but is: 'fast'",
    ),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_entry_is_named_with_what_it_should_be(case: str, tmp_path: Path) -> None:
    change, message = MALFORMED[case]
    path = written(tmp_path, ROW, {**ROW, "name": "two", **change})
    with pytest.raises(MalformedProcessorsError) as caught:
        read_processors(path)
    separator = ", " if message.startswith("products") else ": "
    assert str(caught.value) == f"{path}, entry 2{separator}{message}"


def test_two_entries_for_one_processor_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MalformedProcessorsError, match="entry 2: an entry before it is for the same processor"):
        read_processors(written(tmp_path, ROW, ROW))


@pytest.mark.parametrize("text", ["", "[]", '{"format": "muondsl tiles 1", "processors": []}'])
def test_what_is_no_file_of_processors_is_refused(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "processors.json"
    path.write_text(text, "utf-8")
    monkeypatch.setenv("MUONDSL_CPU", str(path))
    with pytest.raises(MalformedProcessorsError, match=r"processors\.json"):
        this_processor()
