"""Hypers, ranges, routes, defaults of `otherwise`, entries of checkpoints."""

from __future__ import annotations

import pytest

from tests.check.specs import accepted, codes, places


@pytest.mark.parametrize(
    ("interval", "inside", "outside"),
    [
        ("[0, 1)", ("0", "0.5"), ("1", "-0.1")),
        ("(0, 1]", ("1", "1e-300"), ("0", "1.5")),
        ("[0, inf)", ("0", "1e300"), ("-1e-300",)),
        ("[0, inf]", ("7",), ("-1",)),
        ("(-inf, 0)", ("-1",), ("0",)),
        ("[1, 1]", ("1",), ("0.5",)),
        ("[1 - 1/2, 2**3]", ("0.5", "8"), ("0.4", "9")),
    ],
)
def test_a_default_lies_in_its_range(interval: str, inside: tuple[str, ...], outside: tuple[str, ...]) -> None:
    for value in inside:
        assert codes(f"hyper h = {value} in {interval}\nscale h") == []
    for value in outside:
        assert codes(f"hyper h = {value} in {interval}\nscale h") == ["M0401"]
        assert codes(f"hyper h = (0.6, {value}) in {interval}\nscale h[0] + h[1]") == ["M0401"]


@pytest.mark.parametrize("interval", ["[1, 0]", "(1, 1]", "(1, 1)", "[inf, 0]"])
def test_a_range_holds_a_number(interval: str) -> None:
    assert codes(f"hyper h = 1 in {interval}\nscale h") == ["M0402"]


@pytest.mark.parametrize(
    ("default", "kept"),
    [
        ("0.95", "0.95"),
        ("2e-4", "2e-4"),
        ("-1", "-1"),
        ("1/4", "0.25"),
        ("(0.9, 0.950)", ("0.9", "0.950")),
        ("[1]", ("1",)),
    ],
)
def test_a_default_keeps_the_digits_that_are_written(default: str, kept: object) -> None:
    reading = "h" if isinstance(kept, str) else "h[0]"
    assert accepted(f"hyper h = {default}\nscale {reading}").hypers[1].default == kept


@pytest.mark.parametrize("default", ["true", '"a"', "bf16", "()", "[]", "(1, (2, 3))", "rows", "update", "step"])
def test_a_default_is_a_number_or_numbers(default: str) -> None:
    assert codes(f"hyper h = {default}\nscale 2")[0] in ("M0404", "M0201", "M0006")


def test_the_learning_rate_is_one_number() -> None:
    assert places("scale 2") == []
    assert codes("optimizer Mine\nhyper lr = (0.1, 0.2)\n", head="") == ["M0404"]


@pytest.mark.parametrize(
    ("overrides", "found"),
    [
        ("lr = 3e-4, betas = (0.8, 0.9)", []),
        ("lr = -1", ["M0401"]),
        ("betas = (0.8, 1)", ["M0401"]),
        ("betas = 0.8", ["M0404"]),
        ("betas = (0.8, 0.9, 0.9)", ["M0404"]),
        ("lr = (1, 2)", ["M0404"]),
        ("lr = 1, lr = 2", ["M0604"]),
        ("momentum = 0.9", ["M0706"]),
        ("weight_decay = 0.9", ["M0706"]),
        ("lr = rows", ["M0404"]),
    ],
)
def test_defaults_of_otherwise_are_of_hypers_that_it_reads(overrides: str, found: list[str]) -> None:
    text = "hyper betas = (0.9, 0.95) in [0, 1)\nhyper momentum = 0.9\nmomentum ema(momentum)\n"
    assert codes(f"{text}otherwise adamw(betas = betas) with {overrides}") == found


@pytest.mark.parametrize(
    ("routes", "found"),
    [
        ("route matrix ndim == 2\nroute otherwise rest", []),
        ('route matrix ndim == 2 and not named("*embed*", "head")\nroute otherwise rest', []),
        (
            'const heads = ["head"]\nroute matrix rest\nroute otherwise named(heads) or not (rows > 1 and numel > 9)',
            [],
        ),
        ("route matrix true\nroute otherwise rest", []),
        ("route matrix rest\nroute otherwise rest", ["M0705"]),
        ("route matrix ndim\nroute otherwise rest", ["M0705"]),
        ("route matrix ndim and rows > 2\nroute otherwise rest", ["M0705"]),
        ("route matrix not ndim\nroute otherwise rest", ["M0705"]),
        ("route matrix lr > 0\nroute otherwise rest", ["M0705"]),
        ("route matrix step > 5\nroute otherwise rest", ["M0705"]),
        ("route matrix named()\nroute otherwise rest", ["M0705"]),
        ("route matrix named(5)\nroute otherwise rest", ["M0705"]),
        ("route matrix update > 0\nroute otherwise rest", ["M0201"]),
        ("route matrix ndim == 2", ["M0704"]),
        ("route otherwise ndim < 2", ["M0704"]),
    ],
)
def test_a_route_is_a_condition_on_shape_and_name(routes: str, found: list[str]) -> None:
    assert codes(f"{routes}\notherwise adamw()") == found


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ("none", None),
        ("true", True),
        ('"original"', "original"),
        ("-1e-7", -1e-7),
        ("(3, -4.5)", (3, -4.5)),
        ("[]", ()),
        ('("a\\", none)', ("a\\", None)),
    ],
)
def test_an_entry_of_a_checkpoint_is_a_plain_value(entry: str, value: object) -> None:
    (checkpoint,) = accepted(f'checkpoint "torch.optim.Muon" with a = {entry}').checkpoints
    assert checkpoint.entries == (("a", value),)


@pytest.mark.parametrize(
    ("entry", "found"),
    [
        ("a = rows", "M0707"),
        ("a = bf16", "M0707"),
        ("a = unknown", "M0201"),
        ("lr = 1", "M0707"),
        ("params = 1", "M0707"),
        ("a = 1, a = 2", "M0604"),
    ],
)
def test_other_entries_of_a_checkpoint_are_refused(entry: str, found: str) -> None:
    assert codes(f'checkpoint "torch.optim.Muon" with {entry}') == [found]
