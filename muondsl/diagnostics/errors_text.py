"""M00xx: the text of a file and its syntax."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from muondsl.diagnostics.diagnostic import Diagnostic, closest, did_you_mean


@dataclass(frozen=True)
class UnreadableFile(Diagnostic):
    """The file cannot be read: it does not exist, is a directory, or permission is missing.

    Paths are taken relative to the directory in which the command runs; the path after `use` is taken
    relative to the file that holds the `use`.
    """

    code: ClassVar[str] = "M0001"
    reason: str

    def message(self) -> str:
        return f"cannot read the file: {self.reason}"


@dataclass(frozen=True)
class NotUtf8(Diagnostic):
    """A spec is UTF-8 text, with or without a byte order mark. Save the file in that encoding."""

    code: ClassVar[str] = "M0002"
    offset: int

    def message(self) -> str:
        return f"the file is not UTF-8 text: byte {self.offset} cannot be decoded"


@dataclass(frozen=True)
class ControlCharacter(Diagnostic):
    """A spec may hold line ends and tabs, but no other control character, and none that changes the
    direction in which text is shown: what a reader sees must be what is compiled.
    """

    code: ClassVar[str] = "M0003"
    character: str

    def message(self) -> str:
        return f"the character U+{ord(self.character):04X} is not allowed in a spec"

    def label(self) -> str:
        return "remove it"


@dataclass(frozen=True)
class UnterminatedString(Diagnostic):
    """A string begins with a double quote and must end with one on the same line. A docstring begins and
    ends with three. There are no escapes; a string cannot hold a double quote.
    """

    code: ClassVar[str] = "M0004"
    quote: str

    def message(self) -> str:
        return "this docstring is never closed" if self.quote == '"""' else "this string is never closed"

    def label(self) -> str:
        return f"needs a closing {self.quote}"


@dataclass(frozen=True)
class UnexpectedCharacter(Diagnostic):
    """A character that begins no word of the language. Names are made of ASCII letters, digits and `_`."""

    code: ClassVar[str] = "M0005"
    character: str

    def message(self) -> str:
        return f"unexpected character `{self.character}`"

    def helps(self) -> tuple[str, ...]:
        meant = {
            "^": "a power is written `**`",
            "&": "write `and`",
            "|": "write `or`",
            ";": "line ends suffice",
        }
        remark = meant.get(self.character)
        return (remark,) if remark else ()


@dataclass(frozen=True)
class UnexpectedToken(Diagnostic):
    """A word or sign stands where the grammar does not allow it. The message lists what may stand there.

    A value is changed with `<-`, compared with `==`, and named with `let`.
    """

    code: ClassVar[str] = "M0006"
    found: str
    expected: tuple[str, ...]

    def message(self) -> str:
        return f"unexpected `{self.found}`"

    def label(self) -> str:
        return f"expected {listing_plain(self.expected)}"

    def helps(self) -> tuple[str, ...]:
        if self.found == "=":
            return ("a value is changed with `<-`, compared with `==`, and named with `let`",)
        return ()


@dataclass(frozen=True)
class UnexpectedEnd(Diagnostic):
    """The file ends inside an unfinished item, most often because a `{`, `(` or `[` is never closed."""

    code: ClassVar[str] = "M0007"
    expected: tuple[str, ...]

    def message(self) -> str:
        return "the file ends too early"

    def label(self) -> str:
        return f"expected {listing_plain(self.expected)}"


@dataclass(frozen=True)
class NestedTooDeeply(Diagnostic):
    """Expressions and blocks may be nested to a fixed depth, and sums and products may have so many terms.
    Give parts of the expression a name with `let`.
    """

    code: ClassVar[str] = "M0008"
    limit: int

    def message(self) -> str:
        return f"nested or chained more than {self.limit} deep"

    def helps(self) -> tuple[str, ...]:
        return ("name parts of the expression with `let`",)


@dataclass(frozen=True)
class NumberOutOfRange(Diagnostic):
    """A literal must be a finite float64 that is not rounded to zero, written in at most 64 characters."""

    code: ClassVar[str] = "M0009"
    text: str

    def message(self) -> str:
        return f"the number `{self.text[:32]}{'…' if len(self.text) > 32 else ''}` is out of range"

    def label(self) -> str:
        return "not a float64"


@dataclass(frozen=True)
class FileTooLarge(Diagnostic):
    """A spec is a page of text. Files above the limit are refused before they are read."""

    code: ClassVar[str] = "M0010"
    size: int
    limit: int

    def message(self) -> str:
        return f"the file has {self.size} bytes; at most {self.limit} are read"


@dataclass(frozen=True)
class UnknownItem(Diagnostic):
    """A line begins with a word that begins no item. The items of a file are `optimizer`, `cite`, `use`,
    `hyper`, `const`, `let`, `rule`, the stages `gradient`, `momentum`, `orthogonalize`, `adapt`, `scale` and
    `decay`, and `otherwise`, `route` and `checkpoint`.
    """

    code: ClassVar[str] = "M0011"
    word: str
    known: tuple[str, ...]

    def message(self) -> str:
        return f"`{self.word}` is neither a stage nor a declaration"

    def label(self) -> str:
        return "expected a stage or a declaration"

    def helps(self) -> tuple[str, ...]:
        return did_you_mean(closest(self.word, self.known))


def listing_plain(words: tuple[str, ...]) -> str:
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} or {words[-1]}"
