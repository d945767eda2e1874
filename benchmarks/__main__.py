"""`python -m benchmarks`: measures, prints, and writes benchmarks/out."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from benchmarks.measure import Timed, measure
from benchmarks.parameter_sets import SETS, USUAL
from benchmarks.report import as_json, draw, machine, table
from benchmarks.subjects import REFERENCE, subjects

OUT = Path(__file__).parent / "out"


def main() -> None:
    arguments = _arguments()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    wanted = [each for each in subjects() if not arguments.only or each.name in {REFERENCE, *arguments.only}]
    print(", ".join(f"{name} {value}" for name, value in machine().items()))
    results: dict[str, list[Timed]] = {}
    for name in arguments.sets:
        shapes = SETS[name]
        print(f"\n{name}: {len(shapes)} matrices, {sum(rows * cols for rows, cols in shapes):,} elements")
        found = measure(wanted, shapes, rounds=arguments.rounds, seconds=arguments.seconds, progress=_progress)
        results[name] = found
        _progress("")
        print("\n".join(table(found)), flush=True)
    OUT.mkdir(exist_ok=True)
    (OUT / "steps.json").write_text(as_json(results) + "\n", "utf-8")
    draw(results, OUT / "steps.png")
    print(f"\nwritten: {OUT.name}/steps.json, {OUT.name}/steps.png")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=sys.modules[__package__].__doc__)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(USUAL), metavar="SET", help=", ".join(SETS))
    parser.add_argument("--only", nargs="+", metavar="NAME", help="those of this name, and torch.optim.Muon")
    parser.add_argument("--threads", type=int, help="of torch (default: as many as it takes by itself)")
    parser.add_argument("--rounds", type=int, default=15, help="at most (default: 15)")
    parser.add_argument("--seconds", type=float, default=60, help="for the rounds of a set, at most (default: 60)")
    return parser.parse_args()


def _progress(what: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{what}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
