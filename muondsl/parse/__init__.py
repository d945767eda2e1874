"""Text to tree and back: the grammar, the nodes, the parser, the formatter, and the tree as text."""

from muondsl.parse.print_tree import print_tree
from muondsl.parse.text_to_tree import parse, read
from muondsl.parse.tree_to_text import format_text, format_tree

__all__ = ["format_text", "format_tree", "parse", "print_tree", "read"]
