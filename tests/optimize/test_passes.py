"""Every pass keeps the meaning of programs, and does what it is for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import pytest
import torch

from muondsl.interface import pipeline
from muondsl.ir import program as ir
from muondsl.ir import scalar as sc
from muondsl.ir.interpreter import initial_state, interpret
from muondsl.ir.printer import print_program
from muondsl.optimize.choose_short_side import choose_short_side
from muondsl.optimize.copy_aliased_results import copy_aliased_results
from muondsl.optimize.fuse_product_epilogue import fuse_product_epilogue
from muondsl.optimize.fuse_scaled_addition import fuse_scaled_addition
from muondsl.optimize.order import FAITHFUL, FAST
from muondsl.optimize.remove_unused import remove_unused
from muondsl.optimize.share_common_subexpressions import share_common_subexpressions
from muondsl.optimize.simplify_host_scalars import simplify_host_scalars
from muondsl.pipeline import Options
from tests.specs import HyperValue, defaults_of, every_spec, path_of

PASSES = tuple(dict.fromkeys((*FAITHFUL, *FAST)))
HEAD = "optimizer Probe\nhyper lr = 0.5\nhyper momentum = 0.9\n"


def matrix_program(text: str | Path) -> ir.Program:
    return pipeline(text, Options()).program().matrix


def probe(block: str) -> ir.Program:
    return matrix_program(f"{HEAD}adapt {{\n{block}\nupdate <- momentum*update\n}}\n")


def results(program: ir.Program, shape: tuple[int, int], defaults: Mapping[str, HyperValue]) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    parameter, gradient = (torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(2))
    hypers = {**defaults, "lr": 0.1, "momentum": 0.9, "weight_decay": 0.1, "beta2": 0.9, "betas": (0.9, 0.99)}
    return interpret(program, parameter, gradient, initial_state(program, parameter, gradient), hypers, 2)


def assert_same_meaning(
    before: ir.Program, after: ir.Program, defaults: Mapping[str, HyperValue] = MappingProxyType({})
) -> None:
    """`defaults` are for hypers that do not have the names which most have."""
    for shape in ((4, 4), (6, 3), (3, 6), (1, 5), (5, 1)):
        expected = results(before, shape, defaults)
        for name, value in results(after, shape, defaults).items():
            torch.testing.assert_close(value, expected[name], rtol=1e-11, atol=1e-13)


@every_spec
@pytest.mark.parametrize("each", PASSES, ids=lambda each: each.__name__)
def test_a_pass_keeps_the_meaning_of_a_spec(each: Callable[[ir.Program], ir.Program], name: str) -> None:
    stages = pipeline(path_of(name), Options())
    defaults = defaults_of(stages.checked())
    for program in stages.program().programs():
        assert_same_meaning(program, each(program), defaults)
        before = share_common_subexpressions(program)
        assert_same_meaning(before, each(before), defaults)


def test_equal_things_are_computed_once() -> None:
    program = probe("let x = tanh(update)\nlet y = tanh(update)\nupdate <- x + y * (1 - momentum) + y / (1 - momentum)")
    shared = share_common_subexpressions(program)
    assert print_program(shared).count("= tanh") == 1
    assert print_program(program).count("= tanh") == 2


def test_what_nobody_reads_goes() -> None:
    program = probe("update <- tanh(update)")
    dead = ir.Definition("dead", ir.Map("tanh", ("gradient",)), program.definitions[0].type, ir.Origin("", ""))
    longer = ir.Program("matrix", (*program.definitions, dead), program.states, program.results)
    assert remove_unused(longer) == program


ODD = {
    "cubic": "update <- 1.5*update - 0.5*((update @ update') @ update)",
    "normalised": "update <- update / (norm(update) + 1)\nupdate <- update - (update @ update') @ update",
    "two steps": "for a in [0.5, 0.25] {\nlet s = update @ update'\nupdate <- update + (a*s - s @ s) @ update\n}",
    "norm of the product": "let s = update @ update'\nupdate <- (s / norm(s)) @ update",
}
NOT_ODD = {
    "a function of the product": "update <- tanh(update @ update') @ update",
    "a sum over the product": "let s = update @ update'\nupdate <- (s / (1 + sum(s))) @ update",
    "two roots": "update <- (gradient @ tanh(update)') @ update",
    "another root behind": "update <- (update @ update') @ tanh(update)",
    "a row scaling of the product": "update <- ((update @ update') / (1 + norm(update, over = cols))) @ update",
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_polynomial_runs_on_the_short_side(name: str) -> None:
    program = probe(ODD[name])
    turned = choose_short_side(program)
    assert "[short, short]" in print_program(turned)
    assert_same_meaning(program, turned)


@pytest.mark.parametrize("name", NOT_ODD)
def test_what_is_no_odd_polynomial_stays_where_it_is(name: str) -> None:
    program = probe(NOT_ODD[name])
    turned = choose_short_side(program)
    assert "short, short" not in print_program(turned)
    assert_same_meaning(program, turned)


EPILOGUES = {
    "b*update + 0.5*(s @ update)": "gemm 0.5",
    "update + s @ update": "gemm 1",
    "s @ update + update": "gemm 1",
    "update - 0.5*(s @ update)": "gemm -0.5",
    "s @ update - update": "gemm 1",
}


@pytest.mark.parametrize("expression", EPILOGUES)
def test_a_product_takes_the_sum_that_it_goes_into(expression: str) -> None:
    program = probe(f"let s = update @ update'\nlet b = 2*momentum\nupdate <- b*update + {expression}")
    fused = fuse_product_epilogue(share_common_subexpressions(program))
    assert EPILOGUES[expression] in print_program(fused)
    assert_same_meaning(program, fused)


def test_a_product_that_is_read_twice_keeps_its_own_definition() -> None:
    program = probe("let p = (update @ update') @ update\nupdate <- update + p * norm(p)\nupdate <- update + p")
    fused = remove_unused(fuse_product_epilogue(program))
    assert "gemm" not in print_program(fused)


def test_a_scaled_addition_rounds_once_only_in_fast() -> None:
    program = probe("update <- gradient + momentum*parameter - 0.5*tanh(gradient)")
    assert print_program(fuse_scaled_addition(program)).count("add_scaled") == 3
    assert fuse_scaled_addition not in FAITHFUL
    assert_same_meaning(program, fuse_scaled_addition(program))


def simplified(expression: str) -> str:
    text = f"{HEAD}let probe = {expression}\nmomentum ema(beta = momentum * probe)\n"
    program = simplify_host_scalars(matrix_program(text))
    scalars = [part for each in program.definitions for top in ir.scalars(each.operation) for part in sc.walk(top)]
    return next(str(part.value) for part in scalars if isinstance(part, sc.Named) and part.name == "probe")


SIMPLER = {
    "1 - (1 - momentum)": "momentum",
    "rows * cols / rows": "cols",
    "momentum - momentum + 0.95": "0.95",
    "8.156554524902461 * lr / lr": "8.156554524902461",
    "(lr + momentum) * (lr + momentum) / (lr + momentum)": "(lr + momentum)",
}


@pytest.mark.parametrize("expression", SIMPLER)
def test_host_scalars_are_simplified_and_keep_their_digits(expression: str) -> None:
    assert simplified(expression) == SIMPLER[expression]


@pytest.mark.parametrize("power", ["998", "99999999"])
def test_high_powers_are_not_expanded(power: str) -> None:
    text = f"{HEAD}momentum ema(beta = momentum * ((step + lr)**{power} - (step + lr)**{power} * lr))\n"
    program = simplify_host_scalars(matrix_program(text))
    scalars = [str(sc.without_names(part)) for each in program.definitions for part in ir.scalars(each.operation)]
    assert any(f"** {power})" in scalar for scalar in scalars)


@pytest.mark.parametrize("expression", ["sqrt(max(1, rows / cols))", "0.2 * sqrt(max(rows, cols))", "lr * momentum"])
def test_host_scalars_that_do_not_become_simpler_stay_as_written(expression: str) -> None:
    assert simplified(expression) == str(simplified_input(expression))


def simplified_input(expression: str) -> str:
    text = f"{HEAD}let probe = {expression}\nmomentum ema(beta = momentum * probe)\n"
    program = matrix_program(text)
    scalars = [part for each in program.definitions for top in ir.scalars(each.operation) for part in sc.walk(top)]
    return next(str(part.value) for part in scalars if isinstance(part, sc.Named) and part.name == "probe")


def test_states_that_change_places_keep_both_values() -> None:
    text = (
        f"{HEAD}momentum {{\nstate a = gradient\nstate b = ones\nlet old = a\na <- b\nb <- old\nupdate <- a + 2*b\n}}\n"
    )
    program = matrix_program(text.replace("hyper momentum = 0.9\n", ""))
    assert {result.target: result.value for result in program.results}["a"] == "b"
    copied = copy_aliased_results(program)
    assert print_program(copied).count("= copy") == 2
    assert_same_meaning(program, copied)
