"""Every spec with its references: the one table of the family."""

from __future__ import annotations

from tests.family.elementwise import ELEMENTWISE
from tests.family.entry import Entry
from tests.family.libraries import LIBRARIES
from tests.family.methods import METHODS
from tests.family.relatives import RELATIVES

ENTRIES: dict[str, Entry] = {entry.spec: entry for entry in (*LIBRARIES, *METHODS, *RELATIVES, *ELEMENTWISE)}

IDENTICAL = {
    ("keras", "moonlight"): "Keras took over Moonlight's published code; its Adam and its defaults are its own",
}
"""Specs that follow the reference of another one as far as matrices go, and why."""
