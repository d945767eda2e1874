"""Two specs told apart by what they mean: stage by stage, in words and numbers."""

from muondsl.compare.finding import Comparison, Finding
from muondsl.compare.specs_to_comparison import compare

__all__ = ["Comparison", "Finding", "compare"]
