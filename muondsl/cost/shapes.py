"""Names and sizes of parameters: sets that have a name, and files.

A file is text, of one parameter a line, or JSON:

    # everything after a sign like this is a remark
    h.0.attn.c_proj.weight  768 768
    h.0.attn.c_proj.bias    768
    wte.weight              50257 × 768        (also 50257x768, (50257, 768) or [50257, 768])

    {"h.0.attn.c_proj.weight": [768, 768], "h.0.attn.c_proj.bias": [768]}
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from math import prod
from pathlib import Path
from typing import Any

from muondsl.cost.errors import MalformedShapesError

SIZES = re.compile(r"[(\[]?\s*(?:\d+(?:\s*[,x×]\s*|\s+))*(?:\d+\s*,?)?\s*[)\]]?")
LARGEST = 2**40
"""More elements than any parameter has, and few enough for sums of them to stay exact."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A parameter's name and its sizes."""

    name: str
    sizes: tuple[int, ...]

    @property
    def numel(self) -> int:
        return prod(self.sizes)


def _gpt2() -> Iterator[Shape]:
    """GPT-2 small, weights as (out, in), the head tied to the embedding."""
    yield Shape("wte.weight", (50257, 768))
    yield Shape("wpe.weight", (1024, 768))
    for layer in range(12):
        for name, sizes in (
            ("ln_1", (768,)),
            ("attn.c_attn", (2304, 768)),
            ("attn.c_proj", (768, 768)),
            ("ln_2", (768,)),
            ("mlp.c_fc", (3072, 768)),
            ("mlp.c_proj", (768, 3072)),
        ):
            yield Shape(f"h.{layer}.{name}.weight", sizes)
            yield Shape(f"h.{layer}.{name}.bias", sizes[:1])
    yield Shape("ln_f.weight", (768,))
    yield Shape("ln_f.bias", (768,))


def _llama_70b() -> Iterator[Shape]:
    """Llama 2 70B (arXiv:2307.09288): 80 layers, 64 heads of 128 that share 8 of keys and values."""
    width, keys, inner, words = 8192, 1024, 28672, 32000
    yield Shape("model.embed_tokens.weight", (words, width))
    for layer in range(80):
        for name, sizes in (
            ("self_attn.q_proj", (width, width)),
            ("self_attn.k_proj", (keys, width)),
            ("self_attn.v_proj", (keys, width)),
            ("self_attn.o_proj", (width, width)),
            ("mlp.gate_proj", (inner, width)),
            ("mlp.up_proj", (inner, width)),
            ("mlp.down_proj", (width, inner)),
            ("input_layernorm", (width,)),
            ("post_attention_layernorm", (width,)),
        ):
            yield Shape(f"model.layers.{layer}.{name}.weight", sizes)
    yield Shape("model.norm.weight", (width,))
    yield Shape("lm_head.weight", (words, width))


NAMED = {"gpt2": tuple(_gpt2()), "llama-70b": tuple(_llama_70b())}


def find_shapes(name: str) -> tuple[Shape, ...]:
    """The set of a name, or what is in the file of that path. Raises MalformedShapesError."""
    if name in NAMED:
        return NAMED[name]
    path = Path(name)
    if not path.exists() and not path.suffix and len(path.parts) == 1:
        close = get_close_matches(name, NAMED, 1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        known = ", ".join(NAMED)
        raise MalformedShapesError(f"there are no shapes {name!r}{hint}: name a file, or one of {known}")
    return read_shapes(path)


def read_shapes(path: Path) -> tuple[Shape, ...]:
    """The parameters in a file, in its order. Raises MalformedShapesError with the line."""
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise MalformedShapesError(f"cannot read shapes from {path}: {error}") from error
    file = _File(path, text)
    shapes = tuple(file.from_json() if text.lstrip().startswith(("{", "[")) else file.from_lines())
    if not shapes:
        raise MalformedShapesError(f"{path} has no shapes: a line is a name and its sizes, such as `weight 768 768`")
    return shapes


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    text: str

    def from_lines(self) -> Iterator[Shape]:
        seen: dict[str, int] = {}
        for number, line in enumerate(self.text.splitlines(), 1):
            name, *rest = line.partition("#")[0].split(maxsplit=1) or [""]
            if name:
                self._check_new(name, number, seen)
                yield Shape(name, self._sizes("".join(rest).strip(), name, number))

    def _sizes(self, text: str, name: str, line: int) -> tuple[int, ...]:
        if not text:
            raise self._error(line, f"{name} has no sizes: write them behind it, such as `{name} 768 768`")
        if not SIZES.fullmatch(text):
            raise self._error(line, f"the sizes of {name} should be whole numbers, such as `768 768`, but are: {text}")
        return self._checked([int(size) for size in re.findall(r"\d+", text)], name, line)

    def from_json(self) -> Iterator[Shape]:
        try:
            pairs = json.loads(self.text, object_pairs_hook=_Pairs)
        except json.JSONDecodeError as error:
            raise self._error(error.lineno, f"this is not JSON: {error.msg} (column {error.colno})") from error
        except RecursionError as error:
            raise self._error(1, "lists lie too deep in each other") from error
        if not isinstance(pairs, _Pairs):
            raise self._error(1, 'should be an object of names and sizes, such as {"weight": [768, 768]}')
        seen: dict[str, int] = {}
        for name, sizes in pairs:
            line = self._line_of(name, seen)
            self._check_new(name, line, seen)
            if isinstance(sizes, _Pairs) or not isinstance(sizes, list):
                raise self._error(line, f"the sizes of {name} should be a list, such as [768, 768]")
            yield Shape(name, self._checked(sizes, name, line))

    def _line_of(self, name: str, seen: Iterable[str]) -> int:
        """The line of a key: of its last place if it has come before."""
        key = re.compile(f"{re.escape(json.dumps(name, ensure_ascii=False))}\\s*:")
        places = [match.start() for match in key.finditer(self.text)] or [0]
        return self.text.count("\n", 0, places[-1 if name in seen else 0]) + 1

    def _check_new(self, name: str, line: int, seen: dict[str, int]) -> None:
        if name in seen:
            raise self._error(line, f"{name} comes a second time; it is in line {seen[name]} already")
        seen[name] = line

    def _checked(self, sizes: list[Any], name: str, line: int) -> tuple[int, ...]:
        for size in sizes:
            if isinstance(size, bool) or not isinstance(size, int) or size < 1:
                raise self._error(line, f"the sizes of {name} should be whole numbers from 1 on, but one is: {size!r}")
        if prod(sizes) > LARGEST:
            raise self._error(line, f"{name} has {prod(sizes):,} elements, more than any parameter")
        return tuple(sizes)

    def _error(self, line: int, problem: str) -> MalformedShapesError:
        return MalformedShapesError(f"{self.path}:{line}: {problem}")


class _Pairs(list[tuple[str, Any]]):
    """The entries of a JSON object, with those that come twice."""
