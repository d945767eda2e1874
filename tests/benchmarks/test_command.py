"""The command line, on sets that take no time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks import accuracy, latency
from benchmarks.parameter_sets import SETS, USUAL, gpt
from benchmarks.subjects import PEERS, REFERENCE, subjects


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(command, "OUT", tmp_path)
    monkeypatch.setitem(SETS, "tiny", [(8, 12), (6, 6)])
    return tmp_path


def test_steps_and_counts_of_a_tiny_set(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--sets", "tiny", "--only", "TorchMuon, faithful", "--rounds", "3", "--threads", "1"]
    command.main(["steps", "counts", *options])
    assert sorted(each.name for each in out.iterdir()) == ["counts.json", "steps.json", "steps.png"]
    printed = capsys.readouterr().out
    assert printed.count("tiny: 2 matrices, 132 elements") == 2
    assert "equal to the last bit" in printed
    steps, counts = (json.loads((out / f"{name}.json").read_text()) for name in ("steps", "counts"))
    assert set(steps["sets"]["tiny"]) == {REFERENCE, "TorchMuon, faithful"}
    assert len(steps["sets"]["tiny"][REFERENCE]["seconds"]) == 3
    assert [each["products"] for each in counts["sets"]["tiny"]] == [30, 30]
    assert steps["machine"]["threads"] == counts["machine"]["threads"] == 1


def test_accuracy_and_latency_write_what_they_print(
    out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    few = accuracy.measure([(8, 12)], progress=lambda what: None)
    monkeypatch.setattr(accuracy, "measure", lambda progress: few)
    monkeypatch.setattr(latency, "measure", lambda rounds, progress: latency.Latency({"python": [0.5] * rounds}))
    command.main(["accuracy", "latency", "--starts", "2"])
    assert "keller_jordan, 8 × 12, gauss" in capsys.readouterr().out
    found = json.loads((out / "accuracy.json").read_text())["matrices"]
    assert found[0]["limit"] == list(few[0].limit)
    assert found[0]["of_torch"] == list(few[0].of_torch)
    assert json.loads((out / "latency.json").read_text())["starts"] == {"python": [0.5, 0.5]}


def test_all_is_measured_where_nothing_is_said(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[str] = []
    for name in command.MEASUREMENTS:
        monkeypatch.setitem(command.MEASUREMENTS, name, lambda arguments, name=name: measured.append(name) or {})
    command.main([])
    assert measured == ["steps", "latency", "counts", "accuracy"]


def test_what_is_not_measured_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["speed"])
    assert "no measurement 'speed': choose from steps, latency, counts, accuracy" in capsys.readouterr().err


def test_sets_are_those_of_models() -> None:
    small, medium = SETS["gpt2-small"], SETS["350M, 2 layers"]
    assert sum(rows * cols for rows, cols in small) == 12 * 12 * 768**2
    assert medium == gpt(1024, 24)[: len(medium)]
    assert all(rows == cols for rows, cols in SETS["square"])
    assert all(4 * rows == cols for rows, cols in SETS["wide"])
    assert SETS["tall"] == [(cols, rows) for rows, cols in SETS["wide"]]
    assert {"many small", "convnet", "experts"} <= set(SETS)
    assert set(USUAL) <= set(SETS)


def test_subjects_have_names_of_their_own() -> None:
    names = [each.name for each in subjects()]
    assert len(set(names)) == len(names)
    assert {"pytorch_optimizer", "timm.optim", "muon", "heavyball", "dion", "optimuon"} == set(PEERS)
