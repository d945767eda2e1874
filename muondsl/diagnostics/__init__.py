"""Diagnostics: errors as data with a code and a place, and one renderer."""
