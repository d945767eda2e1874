"""Plan to text: scalars, statements, mathematics, the file around them."""

from muondsl.emit.files import GeneratedFile, Header
from muondsl.emit.plan_to_python import FIRST_WORDS, emit

__all__ = ["FIRST_WORDS", "GeneratedFile", "Header", "emit"]
