"""`muondsl convert`: what it writes, what it prints, and that it writes nothing where it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result

from muondsl.cli import main
from tests.conversion.runs import AVERAGE, SUM, states, trained


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With a checkpoint of torch.optim.Muon and two specs."""
    monkeypatch.chdir(tmp_path)
    torch.save(trained(torch.optim.Muon)[0].state_dict(), "muon.pt")
    Path("average.muon").write_text(AVERAGE)
    Path("sum.muon").write_text(SUM)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["convert", *arguments])


def assert_refused(result: Result, *complaints: str) -> None:
    assert result.exit_code == 1, result.output
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    for complaint in complaints:
        assert complaint in result.stderr
    assert not list(Path().glob("*out*")), "something was left behind"


def read(path: str) -> Any:
    return torch.load(path, weights_only=True)


TO_SUM = ("--from", "torch.optim.Muon", "--to", "sum.muon", "-o", "out.pt")


def test_what_was_done_is_printed_and_what_came_of_it_written(folder: Path) -> None:
    result = run("muon.pt", *TO_SUM)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        "torch.optim.Muon → Sum",
        "group 0, matrix, 3 parameters",
        "  as they were: lr 0.001, weight_decay 0.1, momentum 0.95",
        "  left behind: nesterov True, ns_coefficients (3.4445, -4.775, 2.0315), eps 1e-07, ns_steps 5, "
        "adjust_lr_fn None",
        "  0 → 0 [6, 4]: momentum_buffer × 20 = 1/(1 − 0.95), rounded once to float64",
        "  1 → 1 [4, 6]: momentum_buffer × 20 = 1/(1 − 0.95), rounded once to float64",
        "  2 → 2 [5, 5]: momentum_buffer × 20 = 1/(1 − 0.95), rounded once to float64",
        "out.pt written",
    ]
    for found, before in zip(states(read("out.pt")), states(read("muon.pt")), strict=True):
        torch.testing.assert_close(found, 20 * before, rtol=1e-14, atol=0)


def test_options_reach_the_conversion(folder: Path) -> None:
    result = run(
        *("muon.pt", "--from", "torch.optim.Muon", "--to", "nanochat.MuonAdamW", "-o", "out.pt"),
        *("--fresh", "second_momentum_buffer", "--hyper", "beta2=0.8", "--hyper", "lr = 0.5"),
    )
    assert result.exit_code == 0, result.output
    saved = read("out.pt")
    assert {(group["kind"], group["beta2"], group["lr"]) for group in saved["param_groups"]} == {("muon", 0.8, 0.5)}
    again = run(
        *("out.pt", "--from", "nanochat.MuonAdamW", "--to", "sum.muon", "-o", "again.pt"),
        *("--drop", "second_momentum_buffer", "--momentum", "0.9", "--hyper", "momentum=0.8", "--step", "3"),
    )
    assert_refused_without_output(again, "0.95·m + 0.05·g")
    good = run(
        *("out.pt", "--from", "nanochat.MuonAdamW", "--to", "sum.muon", "-o", "again.pt"),
        *("--drop", "second_momentum_buffer", "--momentum", "0.9"),
    )
    assert good.exit_code == 0, good.output
    assert "momentum_buffer (on your word) × 10 = 1/(1 − 0.9)" in good.stdout
    assert "(on your word) as it was" in run("muon.pt", *TO_SUM, "--as-is", "momentum_buffer").stdout


def assert_refused_without_output(result: Result, complaint: str) -> None:
    assert result.exit_code == 1
    assert complaint in result.stderr
    assert not Path("again.pt").exists()


def test_a_refusal_leaves_the_earlier_file(folder: Path) -> None:
    Path("out.pt").write_text("before")
    result = run("muon.pt", "--from", "average.muon", "--to", "sum.muon", "-o", "out.pt")
    assert result.exit_code == 1
    assert Path("out.pt").read_text() == "before"
    assert sorted(path.name for path in folder.iterdir()) == ["average.muon", "muon.pt", "out.pt", "sum.muon"]


def test_a_file_can_be_converted_in_its_place(folder: Path) -> None:
    before = states(read("muon.pt"))
    assert run("muon.pt", *TO_SUM[:-1], "muon.pt").exit_code == 0
    torch.testing.assert_close(states(read("muon.pt"))[0], 20 * before[0], rtol=1e-14, atol=0)


def test_an_entry_of_a_larger_file_is_converted_and_the_others_stay(folder: Path) -> None:
    torch.save({"model": {"w": torch.ones(2)}, "epoch": 3, "optimizer": read("muon.pt")}, "whole.pt")
    assert_refused(run("whole.pt", *TO_SUM), "help: its entry 'optimizer' is one: `--entry optimizer`")
    assert_refused(run("whole.pt", *TO_SUM, "--entry", "opt"), "no entry 'opt', but model, epoch, optimizer")
    assert run("whole.pt", *TO_SUM, "--entry", "optimizer").exit_code == 0
    found = read("out.pt")
    assert found["epoch"] == 3
    assert torch.equal(found["model"]["w"], torch.ones(2))
    torch.testing.assert_close(states(found["optimizer"])[0], 20 * states(read("muon.pt"))[0], rtol=1e-14, atol=0)


class Anything:
    """What a checkpoint may hold that is code."""


def test_a_file_that_is_not_there_or_not_torchs_is_refused(folder: Path) -> None:
    whole = Path("muon.pt").read_bytes()
    files = {"empty.pt": b"", "text.pt": b"not a checkpoint\n", "cut.pt": whole[: len(whole) // 2], "zip.pt": whole[:4]}
    for name, content in files.items():
        Path(name).write_bytes(content)
        assert_refused(run(name, *TO_SUM), f"Error: {name}: it is no file")
    assert_refused(run("absent.pt", *TO_SUM), "Error: absent.pt: it cannot be read: No such file or directory")
    torch.save({"state": Anything()}, "code.pt")
    assert_refused(run("code.pt", *TO_SUM), "code.pt: it is no file of tensors, numbers and texts alone")


def test_a_place_that_cannot_be_written_is_said(folder: Path) -> None:
    result = run("muon.pt", *TO_SUM[:-1], "no/folder/out.pt")
    assert_refused(result, "Error: no/folder/out.pt: it cannot be written")


def test_a_spec_with_an_error_is_reported_as_everywhere(folder: Path) -> None:
    Path("sum.muon").write_text("optimizer Sum\nhyper lr = 1\nmomentum heavy_bal(0.9)\n")
    assert_refused(run("muon.pt", *TO_SUM), "error[M0203]", "sum.muon:3")


@pytest.mark.parametrize("value", ["lr", "lr=", "lr=fast", "lr=1+"])
def test_a_hyper_without_a_value_is_a_wrong_command(folder: Path, value: str) -> None:
    result = run("muon.pt", *TO_SUM, "--hyper", value)
    assert result.exit_code == 2
    assert f"{value!r} is not NAME=VALUE" in result.stderr
