"""Times of new processes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from benchmarks import latency
from benchmarks.latency import CACHED, COMPILE, IMPORT_GENERATED, IMPORT_TORCH, PYTHON, Latency, first_over_later, table
from benchmarks.subjects import COMPILED, REFERENCE


def test_first_over_later_is_within_a_round() -> None:
    found = Latency(first={"one": [4.0, 30.0, 6.0]}, later={"one": [1.0, 10.0, 2.0]})
    assert first_over_later(found, "one") == 3.0


def test_the_table_has_medians_and_ranges() -> None:
    found = Latency(
        {"import torch": [2.0, 1.0, 4.0]}, {"one": [0.5]}, {"one": [0.25]}, {"two": "RuntimeError: no compiler"}
    )
    rows = [line.split() for line in table(found)]
    assert rows[1] == ["import", "torch", "2.00", "s", "1.00–4.00"]
    assert rows[-2] == ["one", "0.50", "s", "0.50–0.50", "250", "ms", "2.0×"]
    assert rows[-1] == ["two", "RuntimeError:", "no", "compiler"]


def test_processes_are_started_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []

    def start(*arguments: str, **environment: str) -> str:
        started.append(" ".join(arguments[:3]))
        caches.add(environment.get("TORCHINDUCTOR_CACHE_DIR"))
        if REFERENCE in arguments:
            raise subprocess.CalledProcessError(1, "python", stderr="Traceback\nValueError: no")
        return '{"first": 3.0, "later": 1.0}'

    caches: set[str | None] = set()
    monkeypatch.setattr(latency, "_run", start)
    found = latency.measure(rounds=2, progress=lambda what: None)
    assert len(started) == 2 * len(set(started)) + 2  # torch.compile is started twice a round.
    assert started[: len(started) // 2] == started[len(started) // 2 :]
    assert len(caches - {None}) == 2
    assert found.first == {name: [3.0, 3.0] for name in ("TorchMuon, fast", COMPILED, CACHED)}
    assert found.problems == {REFERENCE: "ValueError: no"}
    assert set(found.starts) == {PYTHON, COMPILE, "first", "later"}


def test_a_process_says_what_it_took() -> None:
    found = latency._imports()
    assert set(found) == {IMPORT_TORCH, IMPORT_GENERATED}
    assert 0 < found[IMPORT_GENERATED] < found[IMPORT_TORCH] + 5
    assert 0 < latency._whole(PYTHON, "-c", "")[PYTHON] < 60
    steps = latency._first_steps("TorchMuon, fast", 16)
    assert all(0 < steps[which] < 60 for which in ("first", "later"))


def test_a_process_that_fails_is_noted() -> None:
    with pytest.raises(subprocess.CalledProcessError):
        latency._run("-c", "import no_such_module")
    assert latency._run("-c", "import sys; print('noise'); print(sys.executable)") == sys.executable
