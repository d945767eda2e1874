"""`muondsl tune --device cpu`: what is measured, and the file that it leaves."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from muondsl.cli import main
from muondsl.measure import measured_processor, peaks
from muondsl.runtime.processor import MEASURED_DTYPES, Processor, processor_name, read_processors, to_processors_file


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small matrices: what is asserted here is no speed."""
    for module in (peaks, measured_processor):
        monkeypatch.setattr(module, "SIDE", 160)
    monkeypatch.setattr(peaks, "COPIED_BYTES", 2**16)


def test_what_is_measured_is_added_to_the_file(tmp_path: Path) -> None:
    path = tmp_path / "processors.json"
    other = Processor("another", measured_processor.measured_processor().products, bandwidth=1e9, call=1e-6)
    path.write_text(to_processors_file([other]), "utf-8")
    result = CliRunner().invoke(main, ["tune", "--device", "cpu", "-o", str(path)])
    assert result.exit_code == 0, result.output
    assert [line.split(":")[0] for line in result.output.splitlines()[:4]] == [
        *("bfloat16", "float16", "float32", "memory")
    ]
    assert f"set MUONDSL_CPU={path.as_posix()} to use it" in result.output
    assert [each.name for each in read_processors(path)] == ["another", processor_name()]


def test_a_malformed_file_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "processors.json"
    path.write_text("{", "utf-8")
    result = CliRunner().invoke(main, ["tune", "--device", "cpu", "-o", str(path)])
    assert result.exit_code == 1
    assert f"Error: {path} is not JSON" in result.output
    assert path.read_text("utf-8") == "{"


def test_a_missing_directory_is_told_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measured_processor, "measured_processor", pytest.fail)
    path = tmp_path / "missing" / "processors.json"
    result = CliRunner().invoke(main, ["tune", "--device", "cpu", "-o", str(path)])
    assert result.exit_code == 1
    assert f"Error: there is no directory {path.parent.as_posix()} to write processors.json into" in result.output


def test_rates_are_those_of_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a clock that ticks a second for each look, every run takes a second."""
    ticks = iter(range(10**6))
    seen: set[int] = set()

    def clock() -> float:
        seen.add(torch.get_num_threads())
        return float(next(ticks))

    monkeypatch.setattr(peaks, "perf_counter", clock)
    before = torch.get_num_threads()
    found = measured_processor.measured_processor()
    assert (seen, torch.get_num_threads()) == ({1}, before)
    assert {rate.dtype: rate.flops for rate in found.products} == dict.fromkeys(MEASURED_DTYPES, 2 * 160**3)
    # Of 160 rows the first panel has 128 and begins at column 0, the second has 32 and begins at column 128.
    assert {rate.panel for rate in found.products} == {(128 * 160 + 32 * 32) / 160**2}
    assert (found.bandwidth, found.call) == (2 * 2**16, 1 / peaks.CALLS)
