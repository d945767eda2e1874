"""Tree to typed program: names, kinds, dimensions, ranges, order of stages. Every diagnostic about meaning."""

from muondsl.check.tree_to_checked import check, check_file
from muondsl.check.typed import CheckedSpec

__all__ = ["CheckedSpec", "check", "check_file"]
