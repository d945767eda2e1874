"""ROOT's shapes with coefficients of their own, 256 times as small: 2048 × 16384 are too many numbers for a test."""

from __future__ import annotations

import re
from collections import defaultdict
from functools import partial

import pytest
import torch

import muondsl
from tests.parity.trajectories import SPECS, gradient, relative, start
from tests.reference import root

SHAPES = ((8, 8), (12, 8), (8, 12), (8, 32), (64, 8))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_four_shapes_have_their_own_coefficients(shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    small = {(min(key) // 256, max(key) // 256): row for key, row in root.COEFFICIENTS.items()}
    assert set(small) == {(min(each), max(each)) for each in SHAPES}
    spec = re.sub(r"== (\d+)", lambda size: f"== {int(size[1]) // 256}", (SPECS / "root.muon").read_text("utf-8"))
    parameter = start(shape, torch.float64)
    begin = parameter.detach().clone()
    optimizer = muondsl.load(spec, precision="fp64")([{"params": [parameter], "route": "matrix"}])
    parameter.grad = gradient(shape, 0).double()
    optimizer.step()
    moved = parameter.detach() - begin
    hypers = {"lr": 1e-3, "momentum": 0.95, "weight_decay": 0.1}
    state = partial(defaultdict, partial(torch.zeros, (), dtype=torch.float64))
    common = root.muon(begin, parameter.grad, state(), **hypers) - begin
    assert relative(moved, common) > 1e-3
    monkeypatch.setattr(root, "COEFFICIENTS", small)
    assert relative(moved, root.muon(begin, parameter.grad, state(), **hypers) - begin) < 1e-10
