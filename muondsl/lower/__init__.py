"""Typed program to tensor program, and the identity that follows from it."""

from muondsl.lower.checked_to_ir import lower
from muondsl.lower.fingerprint import by_value, canonical, fingerprint

__all__ = ["by_value", "canonical", "fingerprint", "lower"]
