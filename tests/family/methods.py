"""Muons of papers: other scales, orthogonalizers, moments and corrections."""

from __future__ import annotations

from tests.family.entry import Entry

METHODS: tuple[Entry, ...] = ()
