"""Every spec with its references: the one table of the family."""

from __future__ import annotations

from tests.family.entry import Entry
from tests.family.libraries import LIBRARIES
from tests.family.methods import METHODS
from tests.family.relatives import RELATIVES

ENTRIES: dict[str, Entry] = {entry.spec: entry for entry in (*LIBRARIES, *METHODS, *RELATIVES)}

IDENTICAL: dict[tuple[str, str], str] = {}
"""Specs that are one as far as matrices go, with what tells them apart."""
