"""Typed program to tensor program, and the identity that follows from it."""

from muondsl.lower.checked_to_ir import lower
from muondsl.lower.fingerprint import fingerprint

__all__ = ["fingerprint", "lower"]
