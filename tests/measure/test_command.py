"""`muondsl profile` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from muondsl.cli import main
from tests.specs import path_of


@pytest.fixture
def shapes(tmp_path: Path) -> Path:
    path = tmp_path / "shapes.txt"
    path.write_text("h.0.weight 64 96\nh.0.bias 96\n", "utf-8")
    return path


def run(*arguments: str, spec: str = "normuon") -> Result:
    return CliRunner().invoke(main, ["profile", str(path_of(spec)), *arguments])


def test_a_report_is_printed(shapes: Path) -> None:
    result = run("--shapes", str(shapes), "--steps", "1")
    assert result.exit_code == 0
    assert result.output.startswith("Normuon: one step, measured, on one thread of this CPU\n")
    for text in ("Route matrix: 1 parameter", "Route otherwise: 1 parameter", "outer: x xᵀ", "One step, without it"):
        assert text in result.output


def test_json_says_the_same(shapes: Path) -> None:
    result = run(
        "--shapes", str(shapes), "--steps", "2", "--dtype", "bf16", "--json", "--numerics", "faithful",
        "--precision", "fp32",
    )  # fmt: skip
    data = json.loads(result.output)
    assert (data["parameter_format"], data["numerics"], data["precision"], data["steps"]) == (
        "bf16",
        "faithful",
        "fp32",
        2,
    )
    assert list(data["peaks"]["flops_per_second"]) == ["fp32"]
    assert data["routes"][0]["stepped"] == [{"sizes": [64, 96], "parameters": 1, "stepped": 1}]


def test_errors_are_those_of_other_commands(shapes: Path, tmp_path: Path) -> None:
    result = run("--shapes", "gpt3")
    assert result.exit_code == 1
    assert "Error: there are no shapes 'gpt3' (did you mean gpt2?)" in result.output
    wrong = tmp_path / "wrong.muon"
    wrong.write_text("optimizer Wrong\nhyper lr = 1 in [0, inf)\nmomentum nestrov(beta = 0.9)\n", "utf-8")
    result = CliRunner().invoke(main, ["profile", str(wrong), "--shapes", str(shapes)])
    assert result.exit_code == 1
    assert "error[M0203]: there is no rule `nestrov`" in result.output
