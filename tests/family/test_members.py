"""Rows of the family say what the specs say: their cells mean the same spec again, their states are those of a run."""

from __future__ import annotations

import shutil
from functools import cache
from typing import TYPE_CHECKING

import pytest
import torch

import muondsl
from muondsl.check import check
from muondsl.check.modules import file_of
from muondsl.diagnostics.span import Source
from muondsl.family import Member, Stage, read_family
from muondsl.family.member import bytes_an_element
from muondsl.lower import fingerprint
from tests.specs import SPECS, every_spec

if TYPE_CHECKING:
    from pathlib import Path


@cache
def member(name: str) -> Member:
    (found,), errors = read_family([SPECS / f"{name}.muon"])
    assert not errors
    return found


def member_of(text: str, folder: Path) -> Member:
    path = folder / "written.muon"
    path.write_text(text, "utf-8")
    members, errors = read_family([path])
    assert not errors
    return members[0]


def written(stage: Stage) -> str:
    return stage.text if "\n" in stage.text else f"{stage.name} {stage.line}"


@every_spec
def test_a_child_that_repeats_the_cells_of_a_spec_is_the_same_optimizer(name: str, tmp_path: Path) -> None:
    found = member(name)
    shutil.copytree(SPECS, tmp_path, dirs_exist_ok=True)
    shutil.copy(SPECS / f"{name}.muon", tmp_path / file_of(found.name))
    bare = f"optimizer Again extends {found.name}\n"
    stages = (*found.stages, *([found.otherwise] if found.otherwise else []))
    cells = "".join(f"{written(stage)}\n" for stage in stages)
    cells += "".join(f"route {target} {condition}\n" for target, condition in found.routes)
    cells += "".join(f"view {view}\n" for view in found.views)
    same, repeated = (fingerprint(check(Source("again.muon", text), tmp_path)) for text in (bare, bare + cells))
    assert repeated == same


def test_arguments_that_a_spec_leaves_out_are_those_of_the_rule(tmp_path: Path) -> None:
    found = member_of(
        "optimizer Small\nhyper lr = 1\nmomentum ema(0.9)\northogonalize newton_schulz(3, eps = 1e-5)\nadapt signed\n",
        tmp_path,
    )
    assert [stage.line for stage in found.stages] == [
        "ema(0.9)",
        "newton_schulz(3, eps = 1e-5, coefficients = keller_jordan, clamped = false, dtype = bf16)",
        "signed()",
    ]
    assert [stage.short for stage in found.stages] == ["ema", "newton_schulz", "signed"]


LONG = """optimizer Long extends Nanochat
const warmup = 300
let (beta1, other) = betas
let current = lerp(0.85, momentum, min(step / warmup, 1))
momentum nesterov(current)
orthogonalize {
  state n[1, 1] = zeros
  n <- n + beta1
  in fp32 {
    aol()
  }
  newton_schulz()
  update <- update + n
}
adapt {
  update <- update * 1
  update <- sign(update)
}
decay none
project {
  let size = max(norm(parameter), 1e-12) * max(norm(parameter), 1e-12) * max(norm(parameter), 1e-12) * 2
  let other_size = max(norm(parameter), 1e-12) * max(norm(parameter), 1e-12) * max(norm(parameter), 1e-12) * 2
  parameter <- parameter * (norm(previous) / min(size, other_size))
}
"""


def test_blocks_are_cut_to_rules_and_their_last_statement_and_names_of_the_spec_are_explained(tmp_path: Path) -> None:
    shutil.copy(SPECS / "nanochat.muon", tmp_path)
    found = member_of(LONG, tmp_path)
    momentum, orthogonalize, adapt, _, project = found.stages
    assert (momentum.line, momentum.where) == (
        "nesterov(current)",
        "current = lerp(0.85, momentum, min(step / warmup, 1)), warmup = 300",
    )
    assert orthogonalize.short == "aol + newton_schulz + …"
    assert orthogonalize.line == (
        "{ n <- n + beta1; in fp32 { aol(eps = 1e-7) }; newton_schulz(steps = 5, coefficients = keller_jordan, "
        "eps = 1e-7, clamped = false, dtype = bf16); update <- update + n }"
    )
    assert orthogonalize.where == "(beta1, other) = betas"
    assert (adapt.short, adapt.line) == ("written out", "{ update <- update * 1; update <- sign(update) }")
    assert project.line == "{ … 2 statements …; parameter <- parameter * (norm(previous) / min(size, other_size)) }"
    assert (found.name, found.parent) == ("Long", "Nanochat")


DIVISORS = {
    "newton_schulz()": ("‖u‖ + 1e-7",),
    "newton_schulz(clamped = true, eps = 1e-9)": ("max(‖u‖, 1e-9)",),
    "polar_express()": ("1.02 ‖u‖ + 1e-6",),
    "aol()": ("√max(sum(abs(x xᵀ) over last), 1e-7)",),
    "inverse_root(4)": ("tr(s) + 1e-7", "√(tr(s) + 1e-7)"),
    "polar()": (),
    "{\n  update <- update / (norm(update, over = cols) + 1e-8)\n  newton_schulz()\n}": (
        "norm(u over cols) + 1e-8",
        "‖u‖ + 1e-7",
    ),
    "{\n  state v = ones\n  v <- lerp(v, update * update, 0.1)\n  update <- update / sqrt(v)\n}": (),
}


@pytest.mark.parametrize("stage", DIVISORS)
def test_what_a_stage_divides_by_is_what_it_sums_of_a_matrix(stage: str, tmp_path: Path) -> None:
    found = member_of(f"optimizer Small\nhyper lr = 1\northogonalize {stage}\n", tmp_path)
    assert found.divided_by == DIVISORS[stage]


@every_spec
@pytest.mark.parametrize("shape", [(12, 20), (20, 12)], ids=["wide", "tall"])
def test_states_and_their_bytes_are_those_of_a_step(name: str, shape: tuple[int, int]) -> None:
    found, optimizer_class = member(name), muondsl.load(SPECS / f"{name}.muon")
    rows, cols = shape
    sizes = {"rows": rows, "cols": cols, "short": min(shape), "long": max(shape), "numel": rows * cols}
    for states, route in ((found.states, "matrix"), (found.other_states, "otherwise")):
        if not (found.has_matrices if route == "matrix" else found.otherwise):
            continue
        parameter = torch.nn.Parameter(torch.ones(shape))
        parameter.grad = torch.ones(shape)
        group = {"params": [parameter], **({"route": route} if found.otherwise else {})}
        optimizer = optimizer_class([group])
        optimizer.step()
        kept = {key: value for key, value in optimizer.state[parameter].items() if key != "step"}
        assert set(kept) == {state.name for state in states}
        taken = sum(value.numel() * value.element_size() for value in kept.values()) / parameter.numel()
        assert taken == pytest.approx(eval(bytes_an_element(states), {}, sizes))


@every_spec
def test_there_are_kernels_where_nothing_is_in_their_way(name: str) -> None:
    assert bool(muondsl.load(SPECS / f"{name}.muon").launches) == (not member(name).obstacle)


def test_what_is_in_the_way_of_kernels_is_said(tmp_path: Path) -> None:
    small = "optimizer Small\nhyper lr = 1\northogonalize "
    assert "fp64" in member_of(f"{small}newton_schulz(dtype = fp64)\n", tmp_path).obstacle
    assert "`svd`" in member_of(f"{small}polar()\n", tmp_path).obstacle


def test_states_of_every_shape_are_counted(tmp_path: Path) -> None:
    shapes = ("rows, cols", "rows, 1", "1, cols", "long", "short", "1, 1")
    states = "".join(f"  state s{n}[{shape}]: fp{16 * (n % 2 + 1)} = ones\n" for n, shape in enumerate(shapes))
    changes = "".join(f"  s{n} <- 2*s{n}\n" for n in range(len(shapes)))
    total = " + ".join(f"s{n}" for n in range(len(shapes)))
    text = f"optimizer Small\nhyper lr = 1\nmomentum {{\n{states}{changes}  update <- update * ({total})\n}}\n"
    found = member_of(text, tmp_path)
    assert [str(state) for state in found.states][:2] == ["s0[rows, cols]: fp16", "s1[rows, 1]: fp32"]
    assert bytes_an_element(found.states) == "2 + 4/cols + 2/rows + 4/numel + 4/short + 2/long"
