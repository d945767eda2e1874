"""Specs whose originals decide by shape or name what is a matrix decide as they do."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch.nn import Parameter

from generated.heavyball_muon import HeavyballMuon
from generated.keras import Keras
from generated.mlx import Mlx
from generated.timm_muon import TimmMuon
from muondsl.runtime import SpecOptimizer
from tests.reference import keras, timm_muon

SIZES = (1, 2, 3, 4, 5, 31, 128, 129, 512, 513, 640)
SHAPES = [
    (),
    (7,),
    *product(SIZES, SIZES),
    *product((1, 3, 4, 64), (1, 2, 3, 130), (1, 3)),
    (64, 3, 7, 7),
    (4, 1, 1, 600),
]


def route(kind: type[SpecOptimizer], shape: tuple[int, ...], name: str = "x") -> str:
    found: str = kind([(name, Parameter(torch.empty(shape)))]).param_groups[0]["route"]
    return found


def test_timm_takes_what_is_worth_orthogonalising() -> None:
    expected = {shape: "otherwise" if timm_muon.takes_adamw(shape) else "matrix" for shape in SHAPES}
    assert len(set(expected.values())) == 2
    assert {shape: route(TimmMuon, shape) for shape in SHAPES} == expected


@pytest.mark.parametrize("path", ["dense/kernel", "embedding/embeddings", "token_Embedding", "my.embed", "bed"])
def test_keras_leaves_embeddings_to_adam(path: str) -> None:
    for shape in ((6, 4), (4,), (3, 3, 4, 6)):
        expected = "otherwise" if keras.takes_adam(path, shape) else "matrix"
        assert route(Keras, shape, path) == expected


@pytest.mark.parametrize("kind", [Mlx, HeavyballMuon], ids=lambda kind: kind.__name__)
def test_what_has_two_dimensions_is_a_matrix(kind: type[SpecOptimizer]) -> None:
    for shape in ((6, 4), (4,), (), (3, 3, 4, 6), (2, 5, 5)):
        assert route(kind, shape) == ("matrix" if len(shape) > 1 else "otherwise")
