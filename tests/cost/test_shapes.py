"""Sets of parameters, files of them, and what is said of malformed ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from muondsl.cost.errors import MalformedShapesError
from muondsl.cost.shapes import NAMED, Shape, find_shapes

GOOD = """\
# a remark

wte.weight   50257 × 768   # the embedding
a 768x768
b (768, 3072)
c [3072,768]
d 768, 3
e (768,)
f 5
g ()
\th\t4\t2
"""


def written(path: Path, text: str) -> str:
    file = path / "shapes.txt"
    file.write_text(text, "utf-8")
    return str(file)


def test_gpt2_has_148_parameters() -> None:
    shapes = NAMED["gpt2"]
    assert len(shapes) == len({shape.name for shape in shapes}) == 148
    assert sum(shape.numel for shape in shapes) == 124_439_808


def test_llama_70b_has_as_many_elements_as_its_authors_say() -> None:
    assert sum(shape.numel for shape in NAMED["llama-70b"]) == 68_976_648_192


def test_lines_may_write_sizes_in_any_usual_way(tmp_path: Path) -> None:
    found = {shape.name: shape.sizes for shape in find_shapes(written(tmp_path, GOOD))}
    assert found == {
        "wte.weight": (50257, 768),
        "a": (768, 768),
        "b": (768, 3072),
        "c": (3072, 768),
        "d": (768, 3),
        "e": (768,),
        "f": (5,),
        "g": (),
        "h": (4, 2),
    }


def test_json_is_an_object_of_names_and_sizes(tmp_path: Path) -> None:
    found = find_shapes(written(tmp_path, '{"a.weight": [768, 3072], "a.bias": [768], "scale": []}'))
    assert found == (Shape("a.weight", (768, 3072)), Shape("a.bias", (768,)), Shape("scale", ()))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no shapes"),
        ("# nothing\n\n", "has no shapes"),
        ("a 1 2\nb\n", ":2: b has no sizes"),
        ("a 1 2\nb two\n", ":2: the sizes of b should be whole numbers, such as `768 768`, but are: two"),
        ("a 3.5 2", ":1: the sizes of a should be whole numbers"),
        ("a -3 2", ":1: the sizes of a should be whole numbers"),
        ("a 3 xx 2", ":1: the sizes of a should be whole numbers"),
        ("a 0 2", ":1: the sizes of a should be whole numbers from 1 on, but one is: 0"),
        ("a 99999999 99999999", ":1: a has 9,999,999,800,000,001 elements"),
        ("a 1\n\n# x\na 2", ":4: a comes a second time; it is in line 1 already"),
        ('{"a": [1, 2],\n "b" [3]}', ":2: this is not JSON"),
        ("[[1, 2]]", ":1: should be an object of names and sizes"),
        ('{"a": [1],\n\n "b": 7}', ":3: the sizes of b should be a list"),
        ('{"a": [1],\n "b": {"c": [1]}}', ":2: the sizes of b should be a list"),
        ('{"a": [1],\n "b": [1.5]}', ":2: the sizes of b should be whole numbers from 1 on, but one is: 1.5"),
        ('{"a": [1],\n "b": [true]}', ":2: the sizes of b should be whole numbers from 1 on, but one is: True"),
        ('{"a": [1],\n "b": ["7"]}', ":2: the sizes of b should be whole numbers from 1 on, but one is: '7'"),
        ('{"a": [1],\n "a": [2]}', ":2: a comes a second time; it is in line 1 already"),
        ('{"a": ' + "[" * 100_000, ":1: lists lie too deep in each other"),
    ],
)
def test_errors_name_file_and_line(tmp_path: Path, text: str, message: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(MalformedShapesError) as caught:
        find_shapes(path)
    assert str(caught.value).startswith(path)
    assert message in str(caught.value)


def test_what_is_neither_set_nor_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MalformedShapesError, match=r"there are no shapes 'gpt3' \(did you mean gpt2\?\)"):
        find_shapes("gpt3")
    with pytest.raises(MalformedShapesError, match="cannot read shapes from"):
        find_shapes(str(tmp_path / "missing.txt"))
    with pytest.raises(MalformedShapesError, match="cannot read shapes from"):
        find_shapes(str(tmp_path))
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(MalformedShapesError, match="cannot read shapes from"):
        find_shapes(str(tmp_path / "binary"))
