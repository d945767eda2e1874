"""Files of JSON that `muondsl tune` writes: {"format": …, NAME: [{…}, …]}, read with the place of every error."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Row:
    """One object of a file. What is wrong with it is raised as `kind`, a ValueError, with the place."""

    place: str
    entries: Any
    kind: type[ValueError]

    def check_names(self, known: Collection[str]) -> None:
        if not isinstance(self.entries, dict):
            raise self.error("should be an object")
        if unknown := sorted(set(self.entries) - set(known)):
            raise self.error(f"has unknown entries: {', '.join(unknown)}")

    def choice(self, name: str, known: Iterable[str]) -> str:
        value = self.value(name)
        if value not in tuple(known):
            raise self.error(f"{name} should be one of {', '.join(known)} but is: {value!r}")
        return str(value)

    def power_of_two(self, name: str, least: int, greatest: int) -> int:
        value = self.integer(name)
        if value.bit_count() != 1 or not least <= value <= greatest:
            raise self.error(f"{name} should be a power of two between {least} and {greatest} but is: {value}")
        return value

    def integer(self, name: str, least: int | None = None, greatest: int | None = None) -> int:
        value = self.value(name)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.error(f"{name} should be an integer but is: {value!r}")
        if (least is not None and value < least) or (greatest is not None and value > greatest):
            bounds = f"at least {least}" if greatest is None else f"between {least} and {greatest}"
            raise self.error(f"{name} should be {bounds} but is: {value}")
        return value

    def number(self, name: str) -> float:
        value = self.value(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.error(f"{name} should be a number but is: {value!r}")
        try:
            return float(value)
        except OverflowError:
            raise self.error(f"{name} should be a number of 64 bits but has {len(str(value))} digits") from None

    def positive(self, name: str) -> float:
        number = self.number(name)
        if not 0 < number < float("inf"):
            raise self.error(f"{name} should be above 0 but is: {number}")
        return number

    def flag(self, name: str) -> bool:
        value = self.value(name)
        if not isinstance(value, bool):
            raise self.error(f"{name} should be true or false but is: {value!r}")
        return value

    def text(self, name: str) -> str:
        value = self.value(name)
        if not isinstance(value, str):
            raise self.error(f"{name} should be a text but is: {value!r}")
        return value

    def part(self, name: str) -> Row:
        return Row(f"{self.place}, {name}", self.value(name), self.kind)

    def value(self, name: str) -> Any:
        if name not in self.entries:
            raise self.error(f"has no {name}")
        return self.entries[name]

    def error(self, problem: str) -> ValueError:
        return self.kind(f"{self.place}: {problem}")


def read_rows(path: Path, form: str, name: str, kind: type[ValueError]) -> Iterator[Row]:
    """The objects of a file of that format. Raises `kind` where it cannot be read, or is of no or another format."""
    try:
        data = json.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise kind(f"cannot read {name} from {path}: {error}") from error
    except json.JSONDecodeError as error:
        raise kind(f"{path} is not JSON: {error}") from error
    if not isinstance(data, dict) or data.get("format") != form or not isinstance(data.get(name), list):
        raise kind(f'{path} is not a file of {name}: it should be {{"format": "{form}", "{name}": […]}}')
    return (Row(f"{path}, entry {number}", row, kind) for number, row in enumerate(data[name], 1))


def to_file(form: str, name: str, rows: Iterable[Any]) -> str:
    """The text of a file, an object a line."""
    body = ",\n".join(f"  {json.dumps(row)}" for row in rows)
    return f'{{"format": "{form}",\n "{name}": [\n{body}\n ]}}\n'
