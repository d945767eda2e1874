"""How long it takes until something is there: imports, a compilation, a first step. Each time in a new process."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import torch

from benchmarks.subjects import COMPILED, REFERENCE
from benchmarks.text_table import text_table

ROOT = Path(__file__).parent.parent
WIDTH = 256
"""Of the layer that is stepped: so narrow that the products hide little of what comes with a first step."""

PYTHON, IMPORT_TORCH, IMPORT_GENERATED = "python", "import torch", "import generated.moonlight, after torch"
COMPILE = "muondsl compile specs/moonlight.muon"
CACHED = f"{COMPILED}, cached on disk"
STEPPED = (REFERENCE, "TorchMuon, fast")
IMPORTS = f"""
import json
from time import perf_counter
began = perf_counter()
import torch
half = perf_counter()
import generated.moonlight
print(json.dumps({{{IMPORT_TORCH!r}: half - began, {IMPORT_GENERATED!r}: perf_counter() - half}}))
"""


@dataclass
class Latency:
    """Seconds of every round, by what was started; those of first and of later steps by who took them."""

    starts: dict[str, list[float]] = field(default_factory=dict)
    first: dict[str, list[float]] = field(default_factory=dict)
    later: dict[str, list[float]] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)


def measure(*, rounds: int, width: int = WIDTH, progress: Callable[[str], None]) -> Latency:
    """Every round starts each process once."""
    found = Latency()
    for number in range(rounds):
        for name, start in STARTS.items():
            progress(f"round {number + 1}: {name}")
            for what, seconds in start().items():
                found.starts.setdefault(what, []).append(seconds)
        for name in STEPPED:
            progress(f"round {number + 1}: {name}")
            _note(found, name, partial(_first_steps, name, width))
        with TemporaryDirectory() as cache:
            for name in (COMPILED, CACHED):
                progress(f"round {number + 1}: {name}")
                _note(found, name, partial(_first_steps, COMPILED, width, TORCHINDUCTOR_CACHE_DIR=cache))
    return found


def table(found: Latency) -> Iterator[str]:
    """Medians, with the least and the most."""
    rows = [(name, f"{_median(times):.2f} s", _range(times)) for name, times in found.starts.items()]
    yield from text_table(("", "median", "range"), rows)
    yield ""
    yield from text_table(("", "first step", "range", "later step", "first/later"), list(_steps(found)))
    yield from (f"  {name}  {problem}" for name, problem in found.problems.items())


def first_over_later(found: Latency, name: str) -> float:
    """The median of what the rounds have each by itself."""
    pairs = zip(found.first[name], found.later[name], strict=True)
    return statistics.median(first / later for first, later in pairs)


def _steps(found: Latency) -> Iterator[tuple[str, ...]]:
    for name, times in found.first.items():
        later = f"{1e3 * _median(found.later[name]):.0f} ms"
        yield name, f"{_median(times):.2f} s", _range(times), later, f"{first_over_later(found, name):.1f}×"


def _median(times: Sequence[float]) -> float:
    return statistics.median(times)


def _range(times: Sequence[float]) -> str:
    return f"{min(times):.2f}–{max(times):.2f}"


def _note(found: Latency, name: str, run: Callable[[], Mapping[str, float]]) -> None:
    try:
        seconds = run()
    except subprocess.CalledProcessError as error:  # torch.compile needs a compiler for C++.
        found.problems[name] = (error.stderr.strip().splitlines() or [str(error)])[-1]
        return
    found.first.setdefault(name, []).append(seconds["first"])
    found.later.setdefault(name, []).append(seconds["later"])


def _first_steps(name: str, width: int, **environment: str) -> dict[str, float]:
    found: dict[str, float] = json.loads(_run("-m", "benchmarks.first_steps", name, str(width), **environment))
    return found


def _imports() -> dict[str, float]:
    found: dict[str, float] = json.loads(_run("-c", IMPORTS))
    return found


def _compile() -> dict[str, float]:
    with TemporaryDirectory() as folder:
        return _whole(COMPILE, "-m", *COMPILE.split(), "-o", folder)


def _whole(name: str, *arguments: str) -> dict[str, float]:
    """The process, from its start to its end."""
    began = perf_counter()
    _run(*arguments)
    return {name: perf_counter() - began}


STARTS: dict[str, Callable[[], dict[str, float]]] = {
    PYTHON: partial(_whole, PYTHON, "-c", ""),
    "imports": _imports,
    COMPILE: _compile,
}


def _run(*arguments: str, **environment: str) -> str:
    """What a new Python prints last, which runs with as many threads as torch has here."""
    environment = {"OMP_NUM_THREADS": str(torch.get_num_threads()), **environment}
    ended = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return (ended.stdout.splitlines() or [""])[-1]
