"""Random texts from a seed: noise, soups of tokens, and specs with something done to them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from muondsl.parse.text_to_tree import KEYWORDS
from tests.specs import CORE, SPECS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random

ROOT = Path(__file__).parents[2]

MOONLIGHT = '''"""Muon scaled so that its updates carry AdamW's RMS (Moonlight, Kimi K2)."""
optimizer Moonlight
cite "arXiv:2502.16982"

hyper lr           = 2e-4  in [0, inf)
hyper momentum     = 0.95  in [0, 1)
hyper weight_decay = 0.1   in [0, inf)

momentum      nesterov(beta = momentum)
orthogonalize newton_schulz(steps = 5, coefficients = keller_jordan)
scale         0.2 * sqrt(max(rows, cols))
decay         decoupled(weight_decay)

otherwise     adamw(betas = (0.9, 0.95), eps = 1e-8)
'''

MOMENTUM_IN_PLACE = """momentum {
  state momentum_buffer = zeros
  momentum_buffer <- lerp(momentum_buffer, update, 1 - momentum)
  update          <- lerp(update, momentum_buffer, momentum)
}
"""

NEWTON_SCHULZ = """rule newton_schulz(steps = 5, coefficients = keller_jordan, eps = 1e-7, dtype = bf16) {
  in dtype {
    let x = update / (norm(update) + eps)
    for (a, b, c) in take(coefficients, steps) {
      let s = x @ x'
      x <- a*x + (b*s + c*(s @ s)) @ x
    }
    update <- x
  }
}
"""

REST = """optimizer KimiK2 extends Moonlight
use "rules.muon"
const keller_jordan = [(3.4445, -4.7750, 2.0315)] cite "https://kellerjordan.github.io/posts/muon/"
let mu = lerp(0.85, momentum, min(step / 300, 1))
adapt {
  state v[rows, 1]: fp32 = zeros
  v <- if step == 0 and not cautious then mean(update**2, over = cols) else lerp(v, mean(update**2), -1)
}
route matrix ndim == 2 and not named(["*.embed*", "lm_head*"]) or names[0] >= 1 and role(matrix, conv)
view transpose, split(3) where named("*qkv*") or not role(head)
otherwise adamw() with lr = 3e-4, eps = 1e-10
checkpoint "torch.optim.Muon" with nesterov = true, eps = 1e-7
"""

EXAMPLES = (MOONLIGHT, MOMENTUM_IN_PLACE, NEWTON_SCHULZ, REST)

_TOKEN = re.compile(
    r'"""(?:[^"]|"(?!""))*"""|"[^"\n]*"|#[^\n]*|[A-Za-z_]\w*|[\d.]+(?:e[+-]?\d+)?|\s+|<-|\*\*|[<>=!]=|.',
    re.DOTALL,
)
_SIGNS = (
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "+",
    "-",
    "*",
    "/",
    "@",
    "**",
    "'",
    ",",
    ":",
    "=",
    "<-",
    "<",
    "<=",
    "==",
    "!=",
)
_WORDS = (
    "if",
    "then",
    "else",
    "and",
    "or",
    "not",
    "in",
    "for",
    "with",
    "state",
    "extends",
    "x",
    "rows",
    "update",
)
_LITERALS = (
    "0",
    "1",
    "0.95",
    "1e-8",
    "1e999",
    ".5",
    '"text"',
    '"""doc"""',
    '"',
    '"""',
    "# comment",
    "\\",
    "é",
    "\u202e",
    "\x00",
)
_SOUP = (*KEYWORDS, *_SIGNS, *_SIGNS, *_WORDS, *_WORDS, *_LITERALS)
_ALIKE = tuple(
    map(re.compile, (r"[a-z]\w*", r"[A-Z]\w*", r"[\d.]+(?:e.*)?", r"\".*\"", r"[-+*/@<>=]|[*=]{2}", r"[][()]"))
)
_BRACKETS = (
    ("(", ")"),
    ("[", "]"),
    ("{", "}"),
    ("in fp32 {", "}"),
    ("-(", ")"),
    ("if x then ", " else y"),
    ("f(", ")"),
)


def seed_specs() -> tuple[str, ...]:
    """The examples above, some specs of the repository and the rules that come with it."""
    paths = sorted([*(SPECS / f"{name}.muon" for name in CORE), *ROOT.glob("muondsl/rules/*.muon")])
    return (*EXAMPLES, *(path.read_text("utf-8") for path in paths))


def tokens(text: str) -> list[str]:
    """The text cut into tokens, spaces and comments: joined, they are the text."""
    return _TOKEN.findall(text)


def random_texts(random: Random, count: int) -> Iterator[str]:
    specs = seed_specs()
    for _ in range(count):
        yield random.choice(_KINDS)(random, specs)


def with_comments(text: str, random: Random) -> str:
    """`text`, which means the same, with comments and line ends wherever there may be some."""
    pieces = []
    for number, token in enumerate(tokens(text)):
        chance = random.random()
        comment = random.choice([" ", "\n", "\n\n  ", ""]) + f'# {number} ) }} "\n  '
        if token.isspace() and chance < 0.15:
            # Line ends separate, and only at the begin of a line a word must be the first of an item.
            pieces.append(comment + (token if "\n" in token else ""))
        elif token in ("(", "[", "{", ",") and chance < 0.3:
            pieces.append(token + comment)
        elif token in (")", "]", "}", "'") and chance < 0.3:
            pieces.append(comment + token)
        elif token.startswith("\n  ") and chance < 0.3:
            pieces.append(random.choice([" ", "\n\n\n    "]))
        else:
            pieces.append(token)
    return "".join(pieces)


def _noise(random: Random, _: tuple[str, ...]) -> str:
    return random.randbytes(random.randrange(200)).decode(random.choice(["utf-8", "latin-1", "utf-16"]), "replace")


def _soup(random: Random, _: tuple[str, ...]) -> str:
    words = random.choices(_SOUP, k=random.randrange(1, 60))
    return "".join(word + random.choice(["", " ", " ", " ", "\n", "\n  "]) for word in words)


def _mutant(random: Random, specs: tuple[str, ...]) -> str:
    """A spec with one to five tokens or characters changed."""
    text = random.choice(specs)
    for _ in range(random.randrange(1, 6)):
        pieces = tokens(text) if random.random() < 0.7 else list(text)
        if pieces:
            random.choice(_EDITS)(random, pieces)
        text = "".join(pieces)
    return text


def _variant(random: Random, specs: tuple[str, ...]) -> str:
    """A spec in which words, numbers, strings or operators are replaced by others: most often it parses."""
    pieces = tokens(random.choice(specs))
    for _ in range(random.randrange(1, 5)):
        place = random.randrange(len(pieces))
        alike = next((kind for kind in _ALIKE if kind.fullmatch(pieces[place])), None)
        others = [token for token in tokens(random.choice(specs)) if alike and alike.fullmatch(token)]
        pieces[place] = random.choice(others or [pieces[place]])
    return "".join(pieces)


def _spliced(random: Random, specs: tuple[str, ...]) -> str:
    """The lines of two specs, mixed."""
    lines = [line for spec in random.choices(specs, k=2) for line in spec.splitlines(keepends=True)]
    return "".join(random.sample(lines, random.randrange(len(lines) + 1)))


def _delete(random: Random, pieces: list[str]) -> None:
    start = random.randrange(len(pieces))
    del pieces[start : start + random.choice([1, 1, 1, 3, 10])]


def _duplicate(random: Random, pieces: list[str]) -> None:
    start = random.randrange(len(pieces))
    pieces[start:start] = pieces[start : start + random.choice([1, 2, 5, 20])] * random.choice([1, 1, 3, 30])


def _swap(random: Random, pieces: list[str]) -> None:
    first, second = random.randrange(len(pieces)), random.randrange(len(pieces))
    pieces[first], pieces[second] = pieces[second], pieces[first]


def _replace(random: Random, pieces: list[str]) -> None:
    pieces[random.randrange(len(pieces))] = random.choice([*_SOUP, random.choice(pieces)])


def _truncate(random: Random, pieces: list[str]) -> None:
    del pieces[random.randrange(len(pieces)) :]


def _nest(random: Random, pieces: list[str]) -> None:
    """Puts brackets around some pieces, once or far too often."""
    start = random.randrange(len(pieces))
    end = random.randrange(start, min(len(pieces), start + 8)) + 1
    opening, closing = random.choice(_BRACKETS)
    depth = random.choice([1, 1, 2, 5, 70, 300])
    pieces[start:end] = [opening * depth, *pieces[start:end], closing * depth]


_EDITS: tuple[Callable[[Random, list[str]], None], ...] = (
    _delete,
    _duplicate,
    _swap,
    _replace,
    _truncate,
    _nest,
)
_KINDS = (_noise, _soup, _mutant, _mutant, _mutant, _variant, _variant, _spliced)
