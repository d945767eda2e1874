"""Comparisons, and the table that they print as."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One comparison. `error` is relative, of the movement of the parameter over all steps, or of the worst state;
    for parameters of 16 bits, of what one step makes of a common start.
    """

    route: str
    path: str
    dtype: str
    shape: tuple[int, ...]
    error: float
    bound: float
    against: str = "oracle"

    @property
    def is_good(self) -> bool:
        return self.error <= self.bound

    def __str__(self) -> str:
        shape = "×".join(str(size) for size in self.shape) or "scalar"
        mark = "" if self.is_good else "  TOO LARGE"
        values = f"{self.error:>10.1e}{self.bound:>10.1e}{mark}"
        return f"{self.route:<10}{self.path:<27}{self.dtype:<12}{self.against:<10}{shape:<15}{values}"


@dataclass(frozen=True)
class Agreement:
    """All comparisons of a spec. `remarks` say which could not be made, and why."""

    optimizer: str
    fingerprint: str
    rows: tuple[Row, ...]
    remarks: tuple[str, ...] = ()

    @property
    def is_good(self) -> bool:
        return all(row.is_good for row in self.rows)

    def __str__(self) -> str:
        titles = f"{'route':<10}{'path':<27}{'parameters':<12}{'against':<10}{'shape':<15}{'error':>10}{'bound':>10}"
        lines = [f"{self.optimizer} {self.fingerprint}", "", titles, "-" * len(titles)]
        lines += map(str, self.rows)
        bad = sum(not row.is_good for row in self.rows)
        lines += ["", *self.remarks, f"{len(self.rows) - bad} of {len(self.rows)} comparisons agree"]
        return "\n".join(lines)
