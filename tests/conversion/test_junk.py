"""A checkpoint with anything in the place of anything is converted or refused: no other error reaches a user."""

from __future__ import annotations

import copy
import random as dice
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

import muondsl
from muondsl.conversion.convert import convert_between
from muondsl.conversion.system import System, find_system
from muondsl.conversion.transfer import Choices
from tests.conversion.runs import ADAM, advance, loaded, new_parameters, spec
from tests.conversion.test_layout_of_keras import trained_keras
from tests.conversion.test_layout_of_nanochat import trained_nanochat

ROUTED = spec("Routed", "nesterov(beta = momentum)", otherwise=ADAM)
JUNK: tuple[Callable[[], Any], ...] = (
    lambda: None,
    lambda: -1,
    lambda: 1.5,
    lambda: float("nan"),
    lambda: "text",
    list,
    lambda: [[0]],
    dict,
    lambda: {1: 2},
    lambda: True,
    lambda: torch.zeros(()),
    lambda: torch.zeros(3),
    lambda: torch.zeros(2, 3),
    lambda: torch.zeros(0, 4),
    lambda: torch.full((2, 3, 4), float("inf")),
    lambda: torch.zeros(3, dtype=torch.bool),
    lambda: torch.zeros(2, 2, dtype=torch.complex64),
)
TRIES = 400


def routed() -> Any:
    parameters = new_parameters([(4, 3), (3, 4), (4,)])
    groups = [{"params": parameters[:2], "route": "matrix"}, {"params": parameters[2:], "route": "otherwise"}]
    optimizer = loaded(ROUTED)(groups)
    advance(optimizer, parameters, range(2))
    return optimizer.state_dict()


def torch_muon() -> Any:
    optimizer = torch.optim.Muon(parameters := new_parameters())
    advance(optimizer, parameters, range(2))
    return optimizer.state_dict()


CHECKPOINTS = {
    "torch.optim.Muon": torch_muon,
    "keras.optimizers.Muon": lambda: trained_keras(2).saved(),
    "nanochat.MuonAdamW": lambda: trained_nanochat(2)[0].state_dict(),
    ROUTED: routed,
}


def containers(value: Any) -> Iterator[Any]:
    """All dictionaries and lists inside, the value itself among them."""
    if isinstance(value, dict | list):
        yield value
        for inside in value.values() if isinstance(value, dict) else value:
            yield from containers(inside)


def spoil(saved: Any, chance: dice.Random) -> None:
    """Puts junk in one place, takes it away, or gives it another name."""
    chosen = chance.choice([each for each in containers(saved) if each])
    key = chance.choice(list(chosen) if isinstance(chosen, dict) else range(len(chosen)))
    match chance.randrange(4):
        case 0:
            del chosen[key]
        case 1 if isinstance(chosen, dict):
            chosen[chance.choice(["text", 99, "params", "route", "kind"])] = chosen.pop(key)
        case _:
            chosen[key] = chance.choice(JUNK)()


@pytest.mark.parametrize("name", CHECKPOINTS, ids=lambda name: name.split("\n")[0])
def test_a_spoilt_checkpoint_is_converted_or_refused(name: str) -> None:
    source, target = find_system(name), find_system(ROUTED)
    choices = Choices(drop=frozenset({"second_momentum_buffer"}), as_is=frozenset({"exp_avg", "exp_avg_sq"}))
    if name != "nanochat.MuonAdamW":
        choices = Choices(as_is=choices.as_is)
    valid, chance = CHECKPOINTS[name](), dice.Random(7)
    outcomes = {"converted": 0, "refused": 0}
    for _ in range(TRIES):
        saved = copy.deepcopy(valid)
        spoil(saved, chance)
        outcomes[outcome(saved, source, target, choices)] += 1
    assert outcome(valid, source, target, choices) == "converted"
    assert min(outcomes.values()) > TRIES / 20


def outcome(saved: Any, source: System, target: System, choices: Choices) -> str:
    try:
        convert_between(saved, source, target, choices)
    except muondsl.ConversionError:
        return "refused"
    return "converted"
