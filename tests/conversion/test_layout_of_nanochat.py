"""Stacked buffers of nanochat's MuonAdamW: taken apart and stacked bit for bit, and runs that go on elsewhere."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch.nn import Parameter

import muondsl
from tests.conversion.runs import SUM, gradient, loaded, random
from tests.conversion.stand_ins import MuonAdamW

LATEST = """optimizer Latest
hyper lr           = 0.02         in [0, inf)
hyper momentum     = 0.95         in [0, 1)
hyper beta2        = 0.9          in [0, 1)
hyper weight_decay = 0            in [0, inf)
hyper betas        = (0.8, 0.95)  in [0, 1)
momentum nesterov(beta = momentum)
orthogonalize {
  row_normalized(1e-30)
  polar_express(steps = 5, coefficients = polar_express_nanochat, safety = 1.01, eps = 1e-6)
  with_norm(sqrt(min(rows, cols)), 1e-6)
}
adapt normuon(beta2 = beta2, eps = 1e-10)
scale sqrt(max(1, rows / cols))
decay cautious(weight_decay * scale)
otherwise adamw(betas = betas, eps = 1e-10, weight_decay = weight_decay)
"""
OLDER = "specs/nanochat.muon"
SHAPES = {"head": (6, 4), "scalars": (3,), "a": (4, 6), "b": (6, 4), "c": (4, 6), "d": (5, 5), "e": (4, 6)}
GROUPS = (("head",), ("scalars",), ("a", "c", "e"), ("d",), ("b",))
"""As GPT.setup_optimizer makes them: AdamW's, then one for each shape, in the order of the shapes."""

Saved = dict[str, Any]


def new_model() -> dict[str, Parameter]:
    return {name: Parameter(0.1 * random(shape, index)) for index, (name, shape) in enumerate(SHAPES.items())}


def kind_of(names: tuple[str, ...]) -> str:
    return "adamw" if names[0] in ("head", "scalars") else "muon"


def nanochat(model: dict[str, Parameter]) -> MuonAdamW:
    entries = {
        "muon": {"lr": 0.02, "momentum": 0.9, "ns_steps": 5, "beta2": 0.9, "weight_decay": 0.1},
        "adamw": {"lr": 0.003, "betas": (0.8, 0.96), "eps": 1e-10, "weight_decay": 0.01},
    }
    optimizer = MuonAdamW(
        [
            {"kind": kind_of(names), "params": [model[name] for name in names], **entries[kind_of(names)]}
            for names in GROUPS
        ]
    )
    for group in optimizer.param_groups:
        group["initial_lr"] = group["lr"]
    return optimizer


def generated(spec: str, model: dict[str, Parameter], groups: tuple[tuple[str, ...], ...] = GROUPS) -> Any:
    routes = {"adamw": "otherwise", "muon": "matrix"}
    made = [{"params": [model[name] for name in names], "route": routes[kind_of(names)]} for names in groups]
    return loaded(spec)(made)


def advance(optimizer: Any, model: dict[str, Parameter], steps: range) -> None:
    for step in steps:
        for index, parameter in enumerate(model.values()):
            parameter.grad = gradient(index, parameter.shape, step)
        optimizer.step()


def copied(model: dict[str, Parameter]) -> dict[str, Parameter]:
    return {name: Parameter(each.detach().clone()) for name, each in model.items()}


def trained_nanochat(steps: int = 4) -> tuple[MuonAdamW, dict[str, Parameter]]:
    optimizer = nanochat(model := new_model())
    advance(optimizer, model, range(steps))
    return optimizer, model


def assert_together(left: tuple[Any, dict[str, Parameter]], right: tuple[Any, dict[str, Parameter]]) -> None:
    """Steps both, and compares. The second moment is kept in fp32 by the one and in fp64 by the other."""
    advance(*left, range(4, 8))
    advance(*right, range(4, 8))
    for name, parameter in left[1].items():
        torch.testing.assert_close(parameter, right[1][name], rtol=1e-5, atol=1e-6)


def test_a_run_of_nanochat_goes_on_in_a_generated_class() -> None:
    optimizer, model = trained_nanochat()
    found = muondsl.convert(optimizer.state_dict(), "nanochat.MuonAdamW", LATEST)
    other = generated(LATEST, own := copied(model))
    other.load_state_dict(found.checkpoint)
    assert [group["lr"] for group in other.param_groups] == [0.003, 0.003, 0.02, 0.02, 0.02]
    assert other.param_groups[0]["initial_lr"] == 0.003
    assert_together((optimizer, model), (other, own))


def test_a_run_of_a_generated_class_goes_on_in_nanochat() -> None:
    optimizer = generated(LATEST, model := new_model())
    for group in optimizer.param_groups:
        group.update(momentum=0.9, weight_decay=0.1)
    advance(optimizer, model, range(4))
    found = muondsl.convert(optimizer.state_dict(), LATEST, "nanochat.MuonAdamW")
    other = nanochat(own := copied(model))
    other.load_state_dict(found.checkpoint)
    assert_together((optimizer, model), (other, own))


def test_one_group_of_matrices_becomes_one_for_each_shape() -> None:
    optimizer = generated(LATEST, model := new_model(), (("head",), ("scalars",), ("a", "b", "c", "d", "e")))
    advance(optimizer, model, range(2))
    found = muondsl.convert(optimizer.state_dict(), LATEST, "nanochat.MuonAdamW")
    saved = found.checkpoint
    assert [group["kind"] for group in saved["param_groups"]] == ["adamw", "adamw", "muon", "muon", "muon"]
    other = nanochat(own := copied(model))
    other.load_state_dict(saved)
    for names in GROUPS[2:]:
        stack = other.state[own[names[0]]]["momentum_buffer"]
        for item, name in zip(stack, names, strict=True):
            assert torch.equal(item, optimizer.state[model[name]]["momentum_buffer"])
    assert "6 → 2[2] [4, 6]: momentum_buffer, second_momentum_buffer as they were" in str(found.report)


@pytest.mark.parametrize(("system", "spec"), [("nanochat.MuonAdamW", LATEST), (f"nanochat:{OLDER}", OLDER)])
def test_taken_apart_and_stacked_again_every_bit_is_where_it_was(system: str, spec: str) -> None:
    optimizer, _ = trained_nanochat()
    saved = copy.deepcopy(optimizer.state_dict())
    apart = muondsl.convert(saved, system, spec)
    for names, group in zip(GROUPS, apart.checkpoint["param_groups"], strict=True):
        assert len(group["params"]) == len(names)
    for index, number in enumerate((2, 3, 4)):
        for state in ("momentum_buffer", "second_momentum_buffer"):
            assert torch.equal(apart.checkpoint["state"][number][state], saved["state"][2][state][index])
    again = muondsl.convert(apart.checkpoint, spec, system).checkpoint
    assert again["param_groups"] == saved["param_groups"]
    assert again["state"].keys() == saved["state"].keys()
    for number, state in saved["state"].items():
        assert again["state"][number].keys() == state.keys()
        for name, value in state.items():
            found = again["state"][number][name]
            assert found == value if name == "step" else torch.equal(found, value)
    assert "2[1] → 3 [4, 6]: momentum_buffer, second_momentum_buffer as they were" in str(apart.report)


def test_the_second_moment_of_one_version_is_not_that_of_another() -> None:
    optimizer, _ = trained_nanochat()
    with pytest.raises(
        muondsl.ConversionError, match="`second_momentum_buffer`: it is not what the checkpoint holds"
    ) as caught:
        muondsl.convert(optimizer.state_dict(), "nanochat.MuonAdamW", OLDER, hypers={"beta2": 0.9})
    assert all(
        "momentum_buffer`: it is not" in each.problem or "second" in each.problem for each in caught.value.findings
    )
    muondsl.convert(optimizer.state_dict(), f"nanochat:{OLDER}", OLDER)


def test_momentum_that_nanochat_schedules_has_no_factor_unless_it_is_given() -> None:
    optimizer, _ = trained_nanochat()
    saved, options = optimizer.state_dict(), {"drop": ["second_momentum_buffer", "otherwise"]}
    with pytest.raises(muondsl.ConversionError, match=r"training changed `momentum`(.|\n)*--momentum VALUE"):
        muondsl.convert(saved, "nanochat.MuonAdamW", SUM, **options)
    found = muondsl.convert(saved, "nanochat.MuonAdamW", SUM, momentum=0.9, **options).checkpoint
    torch.testing.assert_close(
        found["state"][1]["momentum_buffer"], 10 * saved["state"][2]["momentum_buffer"][1], rtol=1e-14, atol=0
    )
    # An average of the same gradients is the same whatever the momentum was when.
    plain = muondsl.convert(saved, "nanochat.MuonAdamW", "torch.optim.Muon", **options).checkpoint
    assert torch.equal(plain["state"][1]["momentum_buffer"], saved["state"][2]["momentum_buffer"][1])


def with_a_part_of_the_stack(saved: Saved) -> None:
    state = saved["state"][2]
    saved["state"][2] = {name: value[:2] for name, value in state.items()}


def with_states_of_a_second_parameter(saved: Saved) -> None:
    saved["state"][3] = {"momentum_buffer": torch.zeros(4, 6)}


def of_another_kind(saved: Saved) -> None:
    saved["param_groups"][2]["kind"] = "lion"


def without_beta2(saved: Saved) -> None:
    del saved["param_groups"][2]["beta2"]


def with_a_moment_of_the_other_side(saved: Saved) -> None:
    saved["state"][2]["second_momentum_buffer"] = torch.zeros(3, 4, 1)


def of_expert_stacks(saved: Saved) -> None:
    saved["state"][5] = {
        "momentum_buffer": torch.zeros(1, 2, 5, 5),
        "second_momentum_buffer": torch.zeros(1, 2, 5, 1),
    }


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (with_a_part_of_the_stack, r"`momentum_buffer` should be stacked of its 3 parameters, but is \[2, 4, 6\]"),
        (with_states_of_a_second_parameter, "parameter 3 has states beside the stack of 2"),
        (of_another_kind, "its `kind` should be muon or adamw but is 'lion'"),
        (without_beta2, "group 2: it has no `beta2`"),
        (with_a_moment_of_the_other_side, r"`second_momentum_buffer` should be \[1, 6\] but is \[4, 1\]"),
        (of_expert_stacks, r"it is of \[2, 5, 5\], and matrices of nanochat.MuonAdamW have two dimensions"),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_what_is_not_a_checkpoint_of_one_process_is_refused(spoil: Any, complaint: str) -> None:
    optimizer, _ = trained_nanochat(1)
    saved = copy.deepcopy(optimizer.state_dict())
    spoil(saved)
    with pytest.raises(muondsl.ConversionError, match=complaint):
        muondsl.convert(saved, "nanochat.MuonAdamW", LATEST)


def test_a_matrix_that_never_stepped_belongs_to_no_stack() -> None:
    optimizer = generated(LATEST, model := new_model())
    del model["d"]
    advance(optimizer, model, range(1))
    with pytest.raises(muondsl.ConversionError, match="parameter 5: it has no states yet, so that nothing says"):
        muondsl.convert(optimizer.state_dict(), LATEST, "nanochat.MuonAdamW")
