"""The whole table of what goes where, for a GPT with a tied head, a ResNet, and a mixture of experts."""

from __future__ import annotations

import math

import torch
from torch.nn import Parameter

import muondsl
from generated.keller_jordan import KellerJordan
from generated.moonlight import Moonlight
from generated.nanochat import Nanochat
from tests.runtime.models import Experts, Gpt, Resnet
from tests.runtime.subjects import advance, random

MUP = """
optimizer Mup
hyper lr = 0.5
momentum ema(0.5)
orthogonalize newton_schulz()
scale sqrt(rows / cols)
"""


def table(text: str) -> str:
    return text.strip("\n")


def test_a_gpt_with_a_tied_head() -> None:
    optimizer = Moonlight.for_model(Gpt(), lr=0.01, views={"*qkv*": "split(3)"})
    assert str(optimizer.routing()) == table("""
name               shape   route      logical matrices       scale  effective lr  state
block.qkv.weight   12 × 4  matrix     3 of 4 × 4 (split(3))  0.4    0.004         192 B
block.proj.weight  4 × 4   matrix     4 × 4                  0.4    0.004         64 B
block.up.weight    16 × 4  matrix     16 × 4                 0.8    0.008         256 B
block.down.weight  4 × 16  matrix     4 × 16                 0.8    0.008         256 B
tok.weight         11 × 4  otherwise  –                      1      0.01          352 B
pos.weight         8 × 4   otherwise  –                      1      0.01          256 B
block.ln_1.weight  4       otherwise  –                      1      0.01          32 B
block.ln_1.bias    4       otherwise  –                      1      0.01          32 B
block.qkv.bias     12      otherwise  –                      1      0.01          96 B
ln_f.weight        4       otherwise  –                      1      0.01          32 B
ln_f.bias          4       otherwise  –                      1      0.01          32 B
""")


def test_a_resnet() -> None:
    optimizer = KellerJordan.for_model(Resnet())
    assert str(optimizer.routing()) == table("""
name                          shape          route      logical matrices   scale  effective lr  state
conv1.weight                  4 × 3 × 7 × 7  matrix     4 × 147 (flatten)  1      0.02          2352 B
layer1.0.conv1.weight         4 × 4 × 3 × 3  matrix     4 × 36 (flatten)   1      0.02          576 B
layer1.0.conv2.weight         4 × 4 × 3 × 3  matrix     4 × 36 (flatten)   1      0.02          576 B
layer1.0.downsample.0.weight  4 × 4 × 1 × 1  matrix     4 × 4 (flatten)    1      0.02          64 B
layer2.0.conv1.weight         8 × 4 × 3 × 3  matrix     8 × 36 (flatten)   1      0.02          1152 B
layer2.0.conv2.weight         8 × 8 × 3 × 3  matrix     8 × 72 (flatten)   1      0.02          2304 B
layer2.0.downsample.0.weight  8 × 4 × 1 × 1  matrix     8 × 4 (flatten)    1.414  0.02828       128 B
bn1.weight                    4              otherwise  –                  1      0.0003        32 B
bn1.bias                      4              otherwise  –                  1      0.0003        32 B
layer1.0.bn1.weight           4              otherwise  –                  1      0.0003        32 B
layer1.0.bn1.bias             4              otherwise  –                  1      0.0003        32 B
layer1.0.bn2.weight           4              otherwise  –                  1      0.0003        32 B
layer1.0.bn2.bias             4              otherwise  –                  1      0.0003        32 B
layer1.0.downsample.1.weight  4              otherwise  –                  1      0.0003        32 B
layer1.0.downsample.1.bias    4              otherwise  –                  1      0.0003        32 B
layer2.0.bn1.weight           8              otherwise  –                  1      0.0003        64 B
layer2.0.bn1.bias             8              otherwise  –                  1      0.0003        64 B
layer2.0.bn2.weight           8              otherwise  –                  1      0.0003        64 B
layer2.0.bn2.bias             8              otherwise  –                  1      0.0003        64 B
layer2.0.downsample.1.weight  8              otherwise  –                  1      0.0003        64 B
layer2.0.downsample.1.bias    8              otherwise  –                  1      0.0003        64 B
fc.weight                     10 × 8         otherwise  –                  1      0.0003        640 B
fc.bias                       10             otherwise  –                  1      0.0003        80 B
""")


def test_a_mixture_of_experts() -> None:
    optimizer = Moonlight.for_model(Experts(), lr=0.1)
    assert str(optimizer.routing()) == table("""
name         shape      route   logical matrices    scale   effective lr  state
w_in         3 × 8 × 4  matrix  3 of 8 × 4 (batch)  0.5657  0.05657       384 B
w_out        3 × 4 × 8  matrix  3 of 4 × 8 (batch)  0.5657  0.05657       384 B
gate.weight  3 × 4      matrix  3 × 4               0.4     0.04          48 B
""")


def test_the_table_is_what_a_step_does() -> None:
    """Steps are as long as the table says, for each matrix, but for what the polynomial does to singular values of
    1/√n, which it brings near 1.
    """
    stored = Parameter(torch.zeros(8, 6))
    optimizer = muondsl.load(MUP)([("x", stored)], views={"x": "split(6, 2)"})
    (row,) = optimizer.routing()
    assert row.matrices == ((6, 6), (2, 6))
    assert row.scales == (1, math.sqrt(2 / 6))
    assert row.effective_lrs == (0.5, 0.5 * math.sqrt(2 / 6))
    stored.grad = torch.eye(8, 6)
    stored.grad[6:, :2] = torch.eye(2)
    optimizer.step()
    for block, expected in zip(stored.detach().split([6, 2]), row.effective_lrs, strict=True):
        values = torch.linalg.svdvals(block)
        assert 0.65 * expected < values.min() <= values.max() < 1.25 * expected


def test_scales_that_change_are_those_of_the_next_step() -> None:
    kind = muondsl.load("optimizer Fading\nhyper lr = 1\nhyper power = 2\nscale rows / step**power\n")
    parameter = Parameter(random((3, 2), 1))
    optimizer = kind([parameter])
    assert [each.scales for each in optimizer.routing()] == [(3.0,)]
    advance(optimizer, range(2))
    optimizer.param_groups[0]["power"] = 1
    assert [each.scales for each in optimizer.routing()] == [(1.0,)]
    assert str(optimizer.routing()).splitlines()[1].startswith("unnamed  3 × 2  matrix  3 × 2")


def test_bytes_are_those_that_the_states_take() -> None:
    optimizer = Nanochat.for_model(Gpt().to(torch.bfloat16))
    advance(optimizer, [0])
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    taken = [
        sum(each.nbytes for name, each in optimizer.state[parameter].items() if name != "step")
        for parameter in parameters
    ]
    assert [row.state_bytes for row in optimizer.routing()] == taken
