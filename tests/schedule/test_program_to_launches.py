"""Plans of launches, carried out in float64, do what the oracle does: specs of any kind, and what they got wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from muondsl.interface import pipeline
from muondsl.ir.interpreter import initial_state, interpret
from muondsl.optimize import NUMERICS, optimize_for_gpu
from muondsl.pipeline import Options
from muondsl.schedule.launches import Elementwise, Iterate, LaunchPlan, Product
from muondsl.schedule.program_to_launches import NotPlanned, plan_launches
from tests.emit.random_specs import SpecWriter as PlainSpecWriter
from tests.schedule.random_specs import SpecWriter
from tests.schedule.run_launches import run_launches
from tests.specs import WITH_KERNELS, defaults_of, each_of, path_of

SHAPES = {"matrix": ((5, 5), (7, 3), (3, 7), (1, 4), (4, 1), (1, 1)), "otherwise": ((5,), (2, 3, 2), ())}
STEPS = 3


def errors(spec: str | Path) -> dict[str, float]:
    """Relative errors of what each step makes of parameter and states, the worst of each plan."""
    found = {}
    for numerics in NUMERICS:
        stages = pipeline(spec, Options(numerics=numerics))
        hypers = defaults_of(stages.checked())
        plans = stages.launches()
        assert plans, "no plan"
        for plan in plans:
            program = next(each for each in stages.program().programs() if each.route == plan.program.route)
            for shape in SHAPES[program.route]:
                generator = torch.Generator().manual_seed(sum(shape))
                tensors = [torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(STEPS + 1)]
                exact = {"parameter": tensors[0], **initial_state(program, tensors[0], tensors[1])}
                for step, gradient in enumerate(tensors[1:], 1):
                    ran = run_launches(plan, exact["parameter"], gradient, exact, hypers, step)
                    exact = interpret(program, exact["parameter"], gradient, exact, hypers, step)
                    where = f"{numerics} {program.route} {shape}"
                    worst = max(relative(ran[name], exact[name]) for name in exact)
                    found[where] = max(found.get(where, 0.0), worst)
    return found


def relative(found: Tensor, expected: Tensor) -> float:
    """Infinities and NaN have to be in the same places."""
    if not torch.equal(found.isfinite(), expected.isfinite()):
        return float("inf")
    inside = expected.isfinite()
    return float((found - expected)[inside].norm() / (expected[inside].norm() + 1e-30))


def check(spec: str | Path) -> None:
    for where, error in errors(spec).items():
        assert error < 1e-8, f"{where}: {error:.1e}\n{spec}"


def plan(spec: str | Path) -> LaunchPlan:
    return pipeline(spec, Options()).launches()[0]


def refusal(spec: str) -> str:
    step = pipeline(spec, Options()).optimized()
    assert pipeline(spec, Options()).launches() == ()
    with pytest.raises(NotPlanned) as refused:
        plan_launches(optimize_for_gpu(step, "fast").matrix, is_faithful=False)
    return str(refused.value)


def spec(*lines: str, stage: str = "momentum") -> str:
    return "\n".join(["optimizer Example", "hyper lr = 0.1", f"{stage} {{", *lines, "}", ""])


def kinds(plan: LaunchPlan) -> list[str]:
    names = {Product: "product", Iterate: "iteration"}
    return [each.domain if isinstance(each, Elementwise) else names[type(each)] for each in plan.launches]


# Specs of the library, and random ones.


@pytest.mark.parametrize("name", each_of(WITH_KERNELS))
def test_plans_of_specs_do_what_the_oracle_does(name: str) -> None:
    check(path_of(name))


LAUNCHES = {
    "keller_jordan": ["tiles", "number", "iteration", "tiles"],
    "moonlight": ["tiles", "number", "iteration", "tiles"],
    "nanochat": ["tiles", "number", "iteration", "tiles", "vector", "tiles"],
    "torch_muon": ["tiles", "number", "iteration", "tiles"],
    "torch_muon_plain": ["tiles", "number", "iteration", "tiles"],
}


@pytest.mark.parametrize("name", LAUNCHES)
def test_launches_of_a_step(name: str) -> None:
    assert kinds(plan(path_of(name))) == LAUNCHES[name]


@pytest.mark.parametrize("start", range(0, 40, 10))
def test_plans_of_random_specs_do_what_the_oracle_does(start: int) -> None:
    for seed in range(start, start + 10):
        check(SpecWriter(seed).text())
    texts = [PlainSpecWriter(seed).text() for seed in range(start, start + 10)]
    planned = [text for text in texts if pipeline(text, Options()).launches()]
    assert planned, "functions of whole matrices, which keep a spec from the GPU, are in every one"
    for text in planned:
        check(text)


@pytest.mark.slow
@pytest.mark.parametrize("start", range(1000, 1600, 50))
def test_plans_of_many_more_random_specs_do_what_the_oracle_does(start: int) -> None:
    for seed in range(start, start + 50):
        check(SpecWriter(seed).text())


# What a plan once got wrong.


def test_matrix_whose_columns_come_first_is_iterated_on_its_shorter_side() -> None:
    check(
        spec(
            "update <- update / (norm(update) + 0.1)",
            "let turned = update'",
            "for (a, b, c) in take([(2, -1.5, 0.5)], 2) {",
            "let s = turned @ turned'",
            "turned <- a*turned + (b*s + c*(s @ s)) @ turned",
            "}",
            "update <- turned'",
        )
    )


def test_matrix_whose_squares_are_read_elsewhere_is_iterated_on_its_shorter_side() -> None:
    check(
        spec(
            "update <- update / (norm(update) + 0.1)",
            "odd_quintic(2, [(2, -1.5, 0.5)])",
            "let s = update @ update'",
            "update <- update + mean(s, over = rows)'",
            "odd_quintic(2, [(2, -1.5, 0.5)])",
        )
    )


def test_inside_of_an_iteration_that_is_read_behind_it_is_kept() -> None:
    check(
        spec(
            "update <- update / (1.02*norm(update) + 1e-6)",
            "odd_quintic(2, [(3.4445, -4.775, 2.0315)])",
            "let mid = update",
            "odd_quintic(3, [(3.4445, -4.775, 2.0315)])",
            "update <- update + 0.1*mid",
        )
    )


def test_two_iterations_of_one_matrix_share_its_square() -> None:
    text = spec(
        "update <- update / (norm(update) + 0.1)",
        "let before = update",
        "odd_quintic(2, [(2, -1.5, 0.5)])",
        "let first = update",
        "update <- before",
        "odd_quintic(1, [(3, -2, 0.5)])",
        "update <- update + first + before",
    )
    check(text)
    assert kinds(plan(text)).count("iteration") == 1


def test_input_is_iterated_in_a_copy() -> None:
    check(spec("update <- parameter", "odd_quintic(1, [(0.5, -0.01, 0.001)])"))


def test_old_state_that_a_later_kernel_computes_with_again_is_kept() -> None:
    check(
        spec(
            "state power[rows, 1] = ones",
            "let old = exp(-power)",
            "power <- 0.5*power + mean(update, over = cols)",
            "update <- update / (1 + norm(update)) + old",
        )
    )


def test_states_that_change_places_behind_a_reduction() -> None:
    check(
        spec(
            "state one[long] = ones",
            "state two[long] = zeros",
            "let kept = one",
            "one <- two + mean(update, over = short)",
            "two <- kept",
            "update <- update / (1 + norm(update)) + one + two + kept",
        )
    )


def test_transpose_of_one_number_is_no_square() -> None:
    check(spec("update <- update * (norm(update)' + 1)"))


def test_reduction_of_one_number_is_that_number() -> None:
    check(spec("update <- update * max(norm(update)) - norm(mean(update)) + sum(min(update))"))
    check(
        "\n".join(
            [
                *("optimizer Example", "hyper lr = 0.1", "momentum {", "update <- sign(update)", "}", "otherwise {"),
                *("state size[1, 1] = ones", "size <- mean(tanh(size)) + norm(update)", "update <- update / size", "}"),
                *("route matrix ndim == 2", "route otherwise ndim != 2", ""),
            ]
        )
    )


def test_product_whose_columns_come_first_is_computed_transposed() -> None:
    text = spec("let gram = update @ update'", "update <- 0.5*update - (update' @ gram)' / rows")
    check(text)
    text = spec("let gram = tanh(update' @ update)", "update <- (0.5*update' + gram @ update')'")
    check(text)
    forms = {str(buffer.dims) for buffer in plan(text).buffers}
    assert forms <= {"[rows, cols]", "[short, long]", "[cols, cols]", "[short, short]"}


def test_transposed_square_is_loaded_from_where_it_lies() -> None:
    text = spec(
        "let gram = update @ gradient'",
        "let side = tanh(gram)",
        "let both = side + side'",
        "update <- both @ update + 0.5*(side' @ update)",
    )
    check(text)
    check(spec("let gram = update @ parameter'", "update <- (gram + gram @ gram') @ update / (rows * rows)"))


def test_squares_are_not_iterated_as_matrices_are() -> None:
    text = spec(
        "update <- update / (norm(update) + 0.1)",
        "let square = update' @ update",
        "for (a, b, c) in take([(1.5, -0.5, 0.1)], 2) {",
        "let s = square @ square'",
        "square <- a*square + (b*s + c*(s @ s)) @ square",
        "}",
        "update <- update @ square",
    )
    check(text)
    assert "iteration" not in kinds(plan(text))


def test_state_that_stays_is_not_stored() -> None:
    text = spec("state kept[1, cols] = ones", "kept <- kept", "update <- update + kept")
    check(text)
    assert not [
        each
        for each in plan(text).launches
        if isinstance(each, Elementwise) and "kept" in [access.tensor for access in each.stores]
    ]


def test_state_takes_a_product_and_a_reduction() -> None:
    check(
        spec(
            "state product = zeros",
            "state size[1, 1] = zeros",
            "state longest[long] = zeros",
            "update <- update + 0.1*product + size + longest",
            "product <- update @ (update' @ update) / numel",
            "size <- norm(product)",
            "longest <- max(update, over = short)",
        )
    )


def test_kernels_have_names_of_their_own() -> None:
    text = spec(
        "state scalars[rows, 1] = ones",
        "state shapes[rows, 1] = ones",
        "scalars <- 0.5*scalars + lr*mean(update, over = cols)",
        "shapes <- 0.5*shapes + norm(update, over = cols)",
        "update <- update + scalars + shapes",
    )
    check(text)
    names = [each.name for each in plan(text).launches if isinstance(each, Elementwise)]
    assert "scalars" not in names
    assert len(set(names)) == len(names)


# What is refused.


def test_programs_without_a_form_on_the_gpu_are_refused_in_words() -> None:
    assert (
        refusal(spec("in fp64 {", "update <- 2*update", "}")) == "it computes in fp64, which tensor cores do not serve"
    )
    vector = refusal(spec("update <- update + update @ mean(update, over = rows)'"))
    assert vector == "`matmul` is a product with a vector, which kernels of products do not serve"
    mixed = refusal(
        spec("state side[long] = ones", "side <- 0.5*side", "update <- update * norm(side * mean(update, over = cols))")
    )
    assert mixed == "`scaled` is a matrix or not depending on which side of the parameter is longer"
