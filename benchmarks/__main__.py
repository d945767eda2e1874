"""`python -m benchmarks [steps|latency|counts|accuracy …]`: measures, prints, and writes benchmarks/out."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from benchmarks import accuracy, counts, latency, steps, steps_report
from benchmarks.machine import machine
from benchmarks.parameter_sets import SETS, USUAL, Shape
from benchmarks.subjects import REFERENCE, Subject, subjects

OUT = Path(__file__).parent / "out"


def main(given: Sequence[str] | None = None) -> None:
    arguments = _arguments(given)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    print(", ".join(f"{name} {value}" for name, value in machine().items()))
    OUT.mkdir(exist_ok=True)
    for name in arguments.measurements or MEASUREMENTS:
        print(f"\n{name}")
        found = {"machine": machine(), **MEASUREMENTS[name](arguments)}
        (OUT / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
        print(f"written: {OUT.name}/{name}.json", flush=True)


def _steps(arguments: argparse.Namespace) -> Mapping[str, Any]:
    results: dict[str, list[steps.Timed]] = {}
    for name, shapes in _sets(arguments, USUAL):
        results[name] = steps.measure(
            _wanted(arguments), shapes, rounds=arguments.rounds, seconds=arguments.seconds, progress=_progress
        )
        _show(steps_report.table(results[name]))
    steps_report.draw(results, OUT / "steps.png")
    return {"sets": steps_report.as_data(results)}


def _latency(arguments: argparse.Namespace) -> Mapping[str, Any]:
    found = latency.measure(rounds=arguments.starts, progress=_progress)
    _show(latency.table(found))
    return {"width": latency.WIDTH, **asdict(found)}


def _counts(arguments: argparse.Namespace) -> Mapping[str, Any]:
    results = {}
    for name, shapes in _sets(arguments, counts.COUNTED):
        found = counts.count(_wanted(arguments), shapes)
        _show(counts.table(found))
        results[name] = [asdict(each) for each in found]
    return {"sets": results}


def _accuracy(arguments: argparse.Namespace) -> Mapping[str, Any]:
    found = accuracy.measure(progress=_progress)
    _show(accuracy.table(found))
    return {"matrices": [{**asdict(each), "limit": each.limit} for each in found]}


MEASUREMENTS: dict[str, Callable[[argparse.Namespace], Mapping[str, Any]]] = {
    "steps": _steps,
    "latency": _latency,
    "counts": _counts,
    "accuracy": _accuracy,
}


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=sys.modules[__package__].__doc__)
    # argparse takes no empty list for one of its choices, so that they are checked below.
    parser.add_argument("measurements", nargs="*", metavar="MEASUREMENT", help=f"{', '.join(MEASUREMENTS)}; or all")
    parser.add_argument(
        "--sets", nargs="+", choices=SETS, metavar="SET", help=f"of steps and counts: {', '.join(SETS)}"
    )
    parser.add_argument("--only", nargs="+", metavar="NAME", help="those of this name, and torch.optim.Muon")
    parser.add_argument("--threads", type=int, help="of torch (default: as many as it takes by itself)")
    parser.add_argument("--rounds", type=int, default=15, help="of steps, at most (default: 15)")
    parser.add_argument("--seconds", type=float, default=60, help="for the rounds of a set, at most (default: 60)")
    parser.add_argument("--starts", type=int, default=3, help="of each process of latency (default: 3)")
    arguments = parser.parse_args(given)
    for name in arguments.measurements:
        if name not in MEASUREMENTS:
            parser.error(f"no measurement {name!r}: choose from {', '.join(MEASUREMENTS)}")
    return arguments


def _wanted(arguments: argparse.Namespace) -> list[Subject]:
    return [each for each in subjects() if not arguments.only or each.name in {REFERENCE, *arguments.only}]


def _sets(arguments: argparse.Namespace, usual: Sequence[str]) -> Iterator[tuple[str, list[Shape]]]:
    for name in arguments.sets or usual:
        shapes = SETS[name]
        print(f"\n{name}: {len(shapes)} matrices, {sum(rows * cols for rows, cols in shapes):,} elements")
        yield name, shapes


def _show(lines: Iterator[str]) -> None:
    _progress("")
    print("\n".join(lines), flush=True)


def _progress(what: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{what}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
