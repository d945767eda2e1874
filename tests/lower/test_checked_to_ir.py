from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from muondsl.interface import pipeline
from muondsl.ir import program as ir
from muondsl.ir.printer import print_step
from muondsl.pipeline import Options

TORCH_MUON = Path("specs/torch_muon.muon")
NANOCHAT = Path("specs/nanochat.muon")


def kinds(program: ir.Program) -> Counter[str]:
    return Counter(type(definition.operation).__name__ for definition in program.definitions)


def test_loops_are_unrolled_and_rules_inlined() -> None:
    program = pipeline(TORCH_MUON, Options()).program().matrix
    assert kinds(program)["MatMul"] == 15
    assert {definition.origin.iteration for definition in program.definitions if definition.origin.loop} == set(
        range(5)
    )


def test_precision_replaces_every_in_block_and_no_declared_format() -> None:
    written = print_step(pipeline(NANOCHAT, Options()).program())
    replaced = print_step(pipeline(NANOCHAT, Options(precision="fp64")).program())
    assert ": bf16" in written
    assert ": bf16" not in replaced
    assert "state second_momentum_buffer: fp32[long]" in replaced


def test_every_definition_points_at_its_source() -> None:
    program = pipeline(TORCH_MUON, Options()).program().matrix
    places = {each.origin.place.split(":")[0] for each in program.definitions if each.origin.place}
    assert places == {"rules/momentum.muon", "rules/orthogonalize.muon", "rules/decay.muon"}


def test_scalars_of_one_name_in_two_rules_stay_apart() -> None:
    text = """
optimizer Clash
hyper lr = 0.1
hyper factor = 0.5
rule half() {
  let factor = 1 / (1 + step)
  update <- factor * update
}
rule third() {
  let factor = 1 / (2 + step)
  update <- factor * update
}
adapt {
  half()
  third()
  update <- factor * update
}
"""
    host = pipeline(text, Options()).plan().matrix.host
    assert len({each.name for each in host} | {"factor"}) == 3


@pytest.mark.parametrize("condition", ["rows > cols", "step == 1", "momentum > 0.5"])
def test_a_condition_on_scalars_is_chosen_on_the_host(condition: str) -> None:
    text = f"""
optimizer Chosen
hyper lr = 0.1
hyper momentum = 0.9
momentum nesterov(beta = momentum)
adapt {{ update <- if {condition} then update else 2*update }}
"""
    program = pipeline(text, Options()).program().matrix
    assert kinds(program)["Choose"] == 1
