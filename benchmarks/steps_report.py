"""Times of steps as a table, as data, and as a picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.steps import Timed, ratio, reference_of
from benchmarks.subjects import BARE

Results = Mapping[str, Sequence[Timed]]


def table(found: Sequence[Timed]) -> Iterator[str]:
    """A line for each: how often as fast as torch.optim.Muon, with quartiles, and its own time."""
    reference = reference_of(found)
    width = max(len(each.subject) for each in found)
    for each in sorted(found, key=lambda timed: -timed.median if timed.rounds else 1):
        name = each.subject.ljust(width)
        if each.problem:
            yield f"  {name}  {each.problem}"
            continue
        times = ratio(each, reference)
        text = f"{times.median:6.2f}× ({times.lower:.2f}–{times.upper:.2f})"
        first = f"first {each.first / each.median:.1f}×"
        equal = {None: "", True: ", equal to the last bit", False: ", NOT EQUAL"}[each.is_equal]
        note = " (no optimizer)" if each.subject == BARE else ""
        yield f"  {name}  {text:22} {1e3 * each.median:9.1f} ms, {first}{equal}{note}"


def as_data(results: Results) -> dict[str, Any]:
    return {
        name: {
            each.subject: {
                "problem": each.problem,
                "first_seconds": each.first,
                "seconds": each.rounds,
                "is_equal": each.is_equal,
            }
            for each in found
        }
        for name, found in results.items()
    }


def draw(results: Results, path: Path) -> None:
    """A picture of the ratios: a group of bars for each set."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    names = [each.subject for each in next(iter(results.values())) if each.subject != BARE]
    figure, axes = plt.subplots(figsize=(11, 5))
    width = 0.8 / len(names)
    for place, name in enumerate(names):
        bars = []
        for found in results.values():
            timed = next(each for each in found if each.subject == name)
            bars.append(ratio(timed, reference_of(found)).median if timed.rounds else 0.0)
        axes.bar([index + place * width for index in range(len(results))], bars, width, label=name)
    axes.set_xticks([index + 0.4 - width / 2 for index in range(len(results))], list(results))
    axes.set_ylabel("times as fast as torch.optim.Muon")
    axes.axhline(1, color="black", linewidth=0.8)
    axes.legend(fontsize="small")
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)
