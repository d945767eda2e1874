"""`muondsl diff` on the command line: what is printed where, and with which status."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from muondsl.cli import main
from muondsl.compare.comparison_to_data import to_data
from muondsl.compare.comparison_to_text import WIDTH, to_text
from tests.compare.specs import HEAD, MOMENTUM, compared
from tests.parity.test_mutations import WRITTEN_OUT

SPECS = Path("specs").resolve()
TORCH_MUON, MOONLIGHT, NANOCHAT = (str(SPECS / f"{name}.muon") for name in ("torch_muon", "moonlight", "nanochat"))


def diff(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["diff", *arguments])


def test_different_specs_end_with_one_and_their_differences() -> None:
    result = diff(TORCH_MUON, MOONLIGHT)
    assert result.exit_code == 1
    assert result.stderr == ""
    assert f"A  TorchMuon  {TORCH_MUON}" in result.stdout
    assert "The same in both: momentum, orthogonalize, decay. Only B has otherwise." in result.stdout
    assert "    B  0.2 √max(r, c)\n" in result.stdout
    assert "    768 × 3072          1     11.085     11.085\n" in result.stdout


def test_the_same_spec_written_otherwise_ends_with_zero(tmp_path: Path) -> None:
    other = tmp_path / "other.muon"
    other.write_text(WRITTEN_OUT.replace("optimizer TorchMuon", "optimizer WrittenOut"), "utf-8")
    result = diff(TORCH_MUON, str(other))
    assert result.exit_code == 0
    assert "The same but for the name: one program, and one state." in result.stdout
    assert "checkpoints, which do not make two specs different" in result.stdout
    assert diff(TORCH_MUON, TORCH_MUON).stdout.endswith("\n\nThe same.\n")


def test_errors_of_both_specs_end_with_two_and_nothing_printed(tmp_path: Path) -> None:
    bad = tmp_path / "bad.muon"
    bad.write_text(HEAD + "momentum emma(0.9)\n", "utf-8")
    result = diff(str(bad), str(tmp_path / "missing.muon"))
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "error[M0203]" in result.stderr
    assert "error[M0001]" in result.stderr
    assert "2 errors; `muondsl explain CODE` tells more" in result.stderr
    assert diff(TORCH_MUON).exit_code == 2


def test_json_holds_the_findings_and_numbers_that_json_has_not(tmp_path: Path) -> None:
    result = diff(TORCH_MUON, NANOCHAT, "--json")
    assert result.exit_code == 1
    data = json.loads(result.stdout, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert (data["same"], data["a"]["name"], data["b"]["stages"][-1]) == (False, "TorchMuon", "otherwise")
    (slope,) = (
        number
        for finding in data["findings"]
        for number in finding["numbers"]
        if number["label"] == "slope at σ = 0" and finding["stage"] == "orthogonalize"
    )
    assert slope["a"] == pytest.approx(3.4445**5, rel=1e-4)
    jumping = (f"{HEAD}orthogonalize {rule}\n" for rule in ("spectral_power(0, cutoff = 0)", "newton_schulz()"))
    comparison = compared(*jumping)
    assert '"inf"' in json.dumps(to_data(comparison), allow_nan=False)


@pytest.mark.parametrize("other", [MOONLIGHT, NANOCHAT])
def test_what_is_printed_fits_the_page(other: str) -> None:
    lines = diff(TORCH_MUON, other).stdout.splitlines()
    assert max(map(len, lines[2:])) <= WIDTH
    assert not any(line != line.rstrip() for line in lines)


def test_factors_and_missing_stages_are_told_in_sentences() -> None:
    average, total = (f"{HEAD}{MOMENTUM}momentum {rule}(momentum)\n" for rule in ("ema", "heavy_ball"))
    assert "\n    B's is always 10 times A's: 1/(1 − μ)\n" in to_text(compared(average, total))
    assert "\n    A's is always 10 times B's: 1/(1 − μ)\n" in to_text(compared(total, average))
    assert "They have the same stages, and all of them differ." in to_text(compared(average, total))
    projected = f"{HEAD}project {{\n  parameter <- parameter / norm(parameter)\n}}\n"
    text = to_text(compared(average, projected))
    assert "They have no stage in common. Only A has momentum. Only B has project." in text


def test_it_takes_less_than_three_seconds_of_processor() -> None:
    """The best of two processes, with torch, whose import is half of it: the machine may be busy."""
    times = []
    for _ in range(2):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [sys.executable, "-m", "muondsl", "diff", TORCH_MUON, NANOCHAT], capture_output=True, check=False
        )
        assert done.returncode == 1
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    assert min(times) < 3, times
