"""`muondsl cost` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner, Result

from muondsl.cli import main
from tests.specs import SPECS


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["cost", str(SPECS / "moonlight.muon"), *arguments])


def test_a_report_is_printed() -> None:
    result = run("--shapes", "gpt2", "--device", "h100")
    assert result.exit_code == 0
    assert "Moonlight: one step, modelled, on NVIDIA H100 SXM (sm_90)" in result.output


def test_json_says_the_same(tmp_path: Path) -> None:
    shapes = tmp_path / "shapes.txt"
    shapes.write_text("h.0.weight 256 512\nh.0.bias 512\n", "utf-8")
    result = run("--shapes", str(shapes), "--device", "mi300x", "--dtype", "bf16", "--json", "--numerics", "faithful")
    data = json.loads(result.output)
    assert (data["parameters"], data["parameter_format"], data["numerics"]) == (2, "bf16", "faithful")
    assert data["device"]["architecture"] == "gfx942"


def test_errors_are_one_line(tmp_path: Path) -> None:
    shapes = tmp_path / "shapes.txt"
    shapes.write_text("h.0.weight 256\nh.0.weight 512\n", "utf-8")
    for arguments, message in (
        (("--shapes", str(shapes), "--device", "h100"), f"Error: {shapes}:2: h.0.weight comes a second time"),
        (("--shapes", "gpt2", "--device", "h10"), "Error: there is no device 'h10' (did you mean h100?)"),
        (("--shapes", "gpt2", "--device", "h100", "--precision", "fp64"), "Error: Moonlight has no Triton form"),
    ):
        result = run(*arguments)
        assert result.exit_code == 1
        assert message in result.output
