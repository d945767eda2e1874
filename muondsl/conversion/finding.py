"""What keeps a checkpoint from being converted, as data, and the error that carries it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem at a place in the checkpoint, or with what was asked for, and how to go on where there is a way."""

    place: str
    problem: str
    help: str = ""

    def __str__(self) -> str:
        return f"{self.place}: {self.problem}" + (f"\n  help: {self.help}" if self.help else "")


class ConversionError(RuntimeError):
    """There is no conversion, and nothing was written: every reason that could be found, each once."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings = tuple(dict.fromkeys(findings))
        super().__init__("\n".join(str(finding) for finding in self.findings))
