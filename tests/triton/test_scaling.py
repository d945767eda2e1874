"""Signs and scales of gradients in kernels, and steps that are skipped on the device, in Triton's interpreter."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import pytest
import torch

import muondsl
from muondsl.runtime.launch import Launch
from tests.schedule.random_specs import SpecWriter
from tests.triton.interpret_random_specs import NAMES, SQUARES, mend_interpreter
from tests.triton.interpreted import interpreted
from tests.triton.runs import SHAPES, Run, assert_same, assert_skipped_and_scaled, scaled_and_plain
from tests.triton.stepping import loaded, save_findings

pytestmark = pytest.mark.timeout(1200)

SPECS = ("moonlight", "nanochat")
RANDOM = {f"seed {seed}": SpecWriter(seed).text().replace(": bf16 =", ": fp32 =") for seed in (0, 3)}
EVERY_STATE = {"names": NAMES, "squares": SQUARES, **RANDOM}
"""Specs with states of every shape, one number of a matrix among them, which every kind of kernel stores."""
SMALL: list[tuple[int, ...]] = [(33, 17), (5, 5), (16, 48)]
WAYS: dict[str, dict[str, Any]] = {"host": {}, "capturable": {"capturable": True}}

FIRST = """optimizer First
hyper lr = 0.5
momentum {
  state first = gradient
  update <- update + first
  first  <- lerp(first, update, 0.5)
}
"""


def signs(kind: Any) -> dict[str, Any]:
    return {
        "along": Run(kind, SHAPES, maximize=True).steps(2),
        "against": Run(kind, SHAPES).steps(2, -1.0),
        "other": Run(kind, SHAPES).steps(2),
    }


@pytest.mark.parametrize("spec", SPECS)
def test_maximize_is_a_step_against_the_negated_gradient(spec: str) -> None:
    found = interpreted(__name__)[spec, "signs"]
    assert_same(found["along"], found["against"])
    assert not torch.equal(found["along"][0]["parameter"], found["other"][0]["parameter"])


def test_groups_have_signs_of_their_own_and_change_them() -> None:
    both, along, against = interpreted(__name__)["groups"]
    assert_same(both, [along[0], against[1]])


def groups() -> list[Any]:
    """Of two matrices the one steps along its gradients and the other against them; then both turn round."""
    kind = loaded("torch_muon", precision="fp32")
    found = []
    for maximize in ((True, False), (True, True), (False, False)):
        run = Run(kind, [(17, 33), (16, 48)])
        own = [{"params": [each], "route": "matrix"} for each in run.parameters]
        run.optimizer = kind(own, backend="triton")
        for step, turn in enumerate((False, True)):
            for group, sign in zip(run.optimizer.param_groups, maximize, strict=True):
                group["maximize"] = sign ^ turn
            run.step(step)
        found.append(run.findings())
    return found


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("spec", [*SPECS, *EVERY_STATE])
def test_skipped_steps_change_nothing_and_scales_no_bit(spec: str, way: str) -> None:
    assert_skipped_and_scaled(interpreted(__name__)[spec, way])


def test_a_state_that_begins_as_the_gradient_begins_unscaled_and_with_its_sign() -> None:
    found = interpreted(__name__)["first"]
    assert_skipped_and_scaled(found["scaled"])
    assert_same(found["along"], found["against"])


def host_reads(spec: str) -> dict[str, list[str]]:
    """What torch is asked for in steps that may be captured."""
    from tests.triton.interpreted_batch import Calls

    run = Run(loaded(spec, precision="fp32"), SHAPES, capturable=True, lr=torch.tensor(0.02))
    for step in range(2):
        run.scaled_step(step, 8.0)
    run.optimizer.grad_scale, run.optimizer.found_inf = torch.tensor(8.0), torch.tensor(0.0)
    found = {}
    with patch.object(Launch, "run", lambda self: None):
        for name, value in (("stepped", 0.0), ("skipped", 1.0)):
            run.optimizer.found_inf.fill_(value)
            with Calls() as calls:
                run.optimizer.step()
            found[name] = calls.names
    return found


@pytest.mark.parametrize("spec", SPECS)
def test_the_host_reads_no_scale_while_a_step_may_be_captured(spec: str) -> None:
    found = interpreted(__name__)[spec, "host reads"]
    assert found["stepped"] == found["skipped"]
    assert "aten::reciprocal" in found["stepped"]
    assert not {"aten::_local_scalar_dense", "aten::item", "aten::equal"} & set(found["stepped"])


if __name__ == "__main__":
    mend_interpreter()
    cases: dict[Any, Any] = {"groups": groups}
    for spec in SPECS:
        kind = loaded(spec, precision="fp32")
        cases[spec, "signs"] = lambda kind=kind: signs(kind)
        cases[spec, "host reads"] = lambda spec=spec: host_reads(spec)
        for way, options in WAYS.items():
            cases[spec, way] = lambda kind=kind, options=options: scaled_and_plain(kind, SHAPES, **options)
    for name, text in EVERY_STATE.items():
        kind = muondsl.load(text, precision="fp32")
        for way, options in WAYS.items():
            cases[name, way] = lambda kind=kind, options=options: scaled_and_plain(kind, SMALL, **options)
    first = muondsl.load(FIRST)
    cases["first"] = lambda: {
        "scaled": scaled_and_plain(first, SMALL),
        "along": Run(first, SMALL, maximize=True).steps(2),
        "against": Run(first, SMALL).steps(2, -1.0),
    }
    save_findings(cases)
