"""Next to Muon: other norms, projections and signs, and optimizers for parameters of any shape."""

from __future__ import annotations

from tests.family.entry import Entry

RELATIVES: tuple[Entry, ...] = ()
