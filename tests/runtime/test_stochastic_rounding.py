"""Rounding at random: bits that depend on seed, step, parameter and element alone, and a mean that is the value."""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import Parameter

import muondsl
from muondsl.runtime import SpecOptimizer
from muondsl.runtime.random_bits import PIECE, philox, rounded_at_random
from tests.conformance.test_checkpoints import Saved, assert_refused, through_a_file
from tests.parity.test_adamw import ADAMW, of_text
from tests.runtime.subjects import (
    CLASSES,
    RETRACTING,
    Optimizer,
    advance,
    assert_same,
    each_of,
    every_class_costly,
    new_groups,
    new_parameters,
    random,
    set_gradients,
    snapshot,
)
from tests.runtime.test_master_weights import in_fp32, members

# Random123, kat_vectors: counter, key, and what Philox-4x32-10 makes of them.
KNOWN = {
    "zeros": ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    "ones": ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    "pi": ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
}


def words(text: str) -> list[int]:
    return [int(word, 16) for word in text.split()]


@pytest.mark.parametrize("name", KNOWN)
def test_philox_is_that_of_its_authors(name: str) -> None:
    counter, key, expected = map(words, KNOWN[name])
    c0, c1, c2, c3 = (torch.tensor([word]) for word in counter)
    found = philox((c0, c1, c2, c3), (key[0], key[1]))
    assert [int(word) for word in found] == expected


def neighbours(value: Tensor) -> tuple[Tensor, Tensor]:
    """The numbers of bf16 around fp32 numbers, towards zero and away from it."""
    bits = value.view(torch.int32)
    towards = (bits & -65536).view(torch.float32)
    return towards, torch.where(towards == value, bits, (bits & -65536) + 65536).view(torch.float32)


@pytest.mark.parametrize("scale", [1.0, 1e-30, 1e30, 1e-40])
def test_the_mean_of_many_roundings_is_the_value(scale: float) -> None:
    """Within four standard deviations of a mean, and both neighbours are taken; 1e-40 is no normal number."""
    count = 4000
    value = (scale * random((50,), 1)).clamp(-3e38, 3e38)
    rounded = torch.stack([rounded_at_random(value, 3, step, 5) for step in range(count)])
    towards, away = neighbours(value)
    assert torch.all((rounded == towards) | (rounded == away))
    share = (value.double() - towards) / (away.double() - towards)
    deviation = (share * (1 - share) / count).sqrt()
    found = (rounded.float() == away).double().mean(0)
    # Of fifty such means one is beyond four deviations once in three hundred tests, and these have one seed.
    assert torch.all((found - share).abs() <= 4 * deviation + 1e-12)


def test_bits_are_even_over_elements_parameters_steps_and_seeds() -> None:
    """Halfway between two numbers, as many go up as down, along each of what the bits depend on."""
    halfway = torch.tensor(1 + 2**-8)
    many = 4096
    along = {
        "elements": rounded_at_random(halfway.expand(many), 1, 1, 0),
        "steps": torch.stack([rounded_at_random(halfway, 1, step, 0) for step in range(many)]),
        "parameters": torch.stack([rounded_at_random(halfway, 1, 1, number) for number in range(many)]),
        "seeds": torch.stack([rounded_at_random(halfway, seed, 1, 0) for seed in range(many)]),
        "high words of seeds": torch.stack([rounded_at_random(halfway, seed << 32, 1, 0) for seed in range(many)]),
    }
    for name, rounded in along.items():
        went_up = (rounded.float() > halfway).double()
        assert abs(float(went_up.mean()) - 0.5) <= 4 * 0.5 / math.sqrt(many), name
        agreement = (went_up[1:] == went_up[:-1]).double().mean()
        assert abs(float(agreement) - 0.5) <= 4 * 0.5 / math.sqrt(many), name
    flips = list(along.values())
    for one, other in pairwise(flips):
        assert not torch.equal(one, other)


def test_what_bf16_holds_stays() -> None:
    held = random((300,), 1, torch.bfloat16).float()
    held = torch.cat([held, torch.tensor([0.0, -0.0, math.inf, -math.inf, 3.3895313892515355e38, 2.0**-133, -1.0])])
    for step in range(20):
        found = rounded_at_random(held, 0, step, 0).float()
        assert torch.equal(found.view(torch.int32), held.view(torch.int32))
    assert rounded_at_random(torch.tensor([math.nan]), 0, 1, 0).isnan().all()
    # All bits of a NaN's fraction are set, and one more would be −0.
    assert rounded_at_random(torch.tensor([0x7FFFFFFF], dtype=torch.int32).view(torch.float32), 0, 1, 0).isnan().all()


def test_elements_are_counted_through_pieces_and_in_the_order_of_their_indices() -> None:
    many = torch.full((PIECE + 10,), 1 + 2**-8)
    whole = rounded_at_random(many, 1, 2, 3)
    assert torch.equal(whole[:100], rounded_at_random(many[:100], 1, 2, 3))
    assert not torch.equal(whole[PIECE:], whole[:10])
    value = random((7, 5), 1)
    assert torch.equal(rounded_at_random(value.t().contiguous().t(), 1, 2, 3), rounded_at_random(value, 1, 2, 3))


# Steps


def rounding(kind: Optimizer, seed: int = 7, **hypers: Any) -> SpecOptimizer:
    return kind(new_groups(new_parameters(kind, torch.bfloat16), **hypers), stochastic_rounding=seed)


@every_class_costly
def test_a_step_is_that_of_fp32_with_the_parameter_rounded(kind: Optimizer) -> None:
    """From states that begin as zeros, which both formats hold."""
    optimizer = rounding(kind)
    wide = kind(new_groups(in_fp32(new_parameters(kind, torch.bfloat16))))
    set_gradients(members(optimizer), 0)
    for own, other in zip(members(optimizer), members(wide), strict=True):
        other.grad = own.grad.float()
    optimizer.step()
    wide.step()
    for number, (own, other) in enumerate(zip(members(optimizer), members(wide), strict=True)):
        assert torch.equal(own, rounded_at_random(other.detach(), 7, 1, number))
        for name, state in wide.state[other].items():
            found = optimizer.state[own][name]
            assert torch.equal(found, state.to(found.dtype))
        assert float(optimizer.state[own]["step"]) == 1


@every_class_costly
def test_states_keep_their_formats(kind: Optimizer) -> None:
    optimizer, plain = rounding(kind), kind(new_groups(new_parameters(kind, torch.bfloat16)))
    for each in (optimizer, plain):
        advance(each, [0])
    for own, other in zip(members(optimizer), members(plain), strict=True):
        formats = {name: state.dtype for name, state in optimizer.state[own].items()}
        assert formats == {name: state.dtype for name, state in plain.state[other].items()} | {"step": torch.float32}


def test_small_steps_move_the_mean() -> None:
    """100 steps of 2⁻¹² on 1, where bf16 has a spacing of 2⁻⁸ below: rounded to the nearest, none would be taken."""
    rows = 4000
    parameter = Parameter(torch.ones(rows, dtype=torch.bfloat16))
    kind = muondsl.load("optimizer Plain\nhyper lr = 1\notherwise { update <- update }\n")
    optimizer = kind([parameter], lr=2.0**-12, stochastic_rounding=11)
    for _ in range(100):
        parameter.grad = torch.ones_like(parameter)
        optimizer.step()
    moved = (1 - parameter.detach().double()).mean()
    # Each step is one of 2⁻⁸ with probability 1/16.
    deviation = 2**-8 * math.sqrt(100 * (1 / 16) * (15 / 16) / rows)
    assert abs(float(moved) - 100 * 2**-12) <= 4 * deviation


@each_of([kind for kind in CLASSES if kind.__name__ not in RETRACTING], is_costly=True)
def test_a_seed_is_reproducible_and_another_is_another(kind: Optimizer) -> None:
    first, again, other = rounding(kind), rounding(kind), rounding(kind, seed=8)
    for optimizer in (first, again, other):
        advance(optimizer, range(3))
    assert_same(snapshot(first), snapshot(again))
    assert any(not torch.equal(one, two) for one, two in zip(members(first), members(other), strict=True))


def carried(optimizer: SpecOptimizer, carry: Callable[[Saved], Saved]) -> SpecOptimizer:
    groups = [
        {"params": [Parameter(each.detach().clone()) for each in group["params"]], "route": group["route"]}
        for group in optimizer.param_groups
    ]
    other = type(optimizer)(groups, stochastic_rounding=7)
    other.load_state_dict(carry(optimizer.state_dict()))
    return other


WAYS: dict[str, Callable[[SpecOptimizer], SpecOptimizer]] = {
    "state_dict": lambda optimizer: carried(optimizer, copy.deepcopy),
    "file": lambda optimizer: carried(optimizer, through_a_file),
    "deepcopy": copy.deepcopy,
    "pickle": lambda optimizer: pickle.loads(pickle.dumps(optimizer)),
}


@every_class_costly
@pytest.mark.parametrize("way", WAYS)
def test_a_copy_continues_bitwise(kind: Optimizer, way: str) -> None:
    optimizer = rounding(kind)
    advance(optimizer, range(3))
    other = WAYS[way](optimizer)
    advance(optimizer, range(3, 6))
    advance(other, range(3, 6))
    assert_same(snapshot(other), snapshot(optimizer))


@every_class_costly
def test_counts_begin_where_a_checkpoint_has_none_and_are_refused_where_nothing_counts(kind: Optimizer) -> None:
    plain = kind(new_groups(new_parameters(kind, torch.bfloat16)))
    advance(plain, [0])
    optimizer = rounding(kind)
    optimizer.load_state_dict(copy.deepcopy(plain.state_dict()))
    advance(optimizer, [1])
    for group in optimizer.param_groups:
        counted = {float(optimizer.state[each]["step"]) for each in group["params"]}
        assert counted == {2.0 if group["route"] in kind.counts_steps else 1.0}
    if plain.param_groups[0]["route"] not in kind.counts_steps:
        assert_refused(plain, optimizer.state_dict(), "parameter 0 should have states .*'step'")


def test_views_and_layouts_of_memory_change_no_bit() -> None:
    """Elements are counted as the parameter is stored, whatever matrices are seen in it."""
    text = "optimizer Seen\nhyper lr = 0.1\n{view}\nmomentum {{ update <- 3*update }}\n"
    start, gradient = random((6, 8), 1, torch.bfloat16), random((6, 8), 2, torch.bfloat16)
    found = []
    for view in ("", "view transpose, split(2) where ndim == 2"):
        for laid in (start.clone(), start.t().contiguous().t()):
            parameter = Parameter(laid)
            optimizer = muondsl.load(text.format(view=view))([parameter], stochastic_rounding=5)
            parameter.grad = gradient.clone()
            optimizer.step()
            found.append(parameter.detach().clone())
    assert all(torch.equal(found[0], each) for each in found)
    assert not torch.equal(found[0], (start.float() - 0.1 * 3 * gradient.float()).bfloat16())


def test_two_parameters_of_the_same_numbers_are_rounded_apart() -> None:
    kind = of_text(ADAMW)
    ones, others = (Parameter(torch.full((64,), 1.0, dtype=torch.bfloat16)) for _ in range(2))
    optimizer = kind([ones, others], lr=2.0**-9, stochastic_rounding=1)
    for parameter in (ones, others):
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    assert not torch.equal(ones, others)


@every_class_costly
def test_wider_parameters_are_as_without_and_fp16_is_refused(kind: Optimizer) -> None:
    for dtype in (torch.float32, torch.float64):
        optimizer = kind(new_groups(new_parameters(kind, dtype)), stochastic_rounding=7)
        other = kind(new_groups(new_parameters(kind, dtype)))
        for each in (optimizer, other):
            advance(each, range(2))
        assert_same(snapshot(optimizer), snapshot(other))
    with pytest.raises(TypeError, match=r"stochastic_rounding for torch.bfloat16 but got a parameter in torch.float16"):
        kind(new_groups(new_parameters(kind, torch.float16)), stochastic_rounding=7)


@every_class_costly
@pytest.mark.parametrize("seed", [-1, 2**63, 1.5, True, "1"])
def test_what_is_no_seed_is_refused(kind: Optimizer, seed: Any) -> None:
    with pytest.raises(ValueError, match="stochastic_rounding should be a seed"):
        kind(new_groups(new_parameters(kind)), stochastic_rounding=seed)
    rounding(kind, seed=2**63 - 1)
    rounding(kind, seed=0)
