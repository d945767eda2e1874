"""Hypers, scales, routes, `otherwise` and checkpoints: what differs, and what it comes to."""

from __future__ import annotations

import pytest

import muondsl
from muondsl.compare.compare_declarations import PARAMETERS
from muondsl.runtime import SpecOptimizer
from muondsl.runtime.routing import Parameter
from tests.compare.specs import HEAD, MOMENTUM, compared, found, numbers, stages_of

EMA = "momentum ema(momentum)\n"
OTHERWISE = "otherwise sgd_momentum(0.9)\n"


def test_defaults_and_ranges_are_told() -> None:
    a = HEAD + MOMENTUM + EMA
    comparison = compared(a, a.replace("= 0.9 in [0, 1)", "= 0.95 in [0, 1]"))
    assert stages_of(comparison) == {"hypers"}
    finding = found(comparison, "hypers", "momentum")
    assert (finding.a, finding.b) == ("0.9 in [0, 1)", "0.95 in [0, 1]")


def test_hypers_that_one_spec_has_alone_are_told() -> None:
    a = HEAD + EMA.replace("(momentum)", "(0.9)")
    finding = found(compared(a, HEAD + MOMENTUM + EMA), "hypers", "momentum")
    assert (finding.a, finding.b) == (None, "0.9 in [0, 1)")


SCALES = {
    "sqrt(max(1, rows / cols))": (1, 2, 1),
    "0.2 * sqrt(max(rows, cols))": (0.2 * 3072**0.5, 0.2 * 3072**0.5, 0.2 * 768**0.5),
    "sqrt(rows / cols)": (0.5, 2, 1),
    "0.1": (0.1, 0.1, 0.1),
    "numel / (fan_in * fan_out) + 1": (2, 2, 2),
}


@pytest.mark.parametrize("scale", SCALES)
def test_scales_are_told_by_their_values_at_shapes(scale: str) -> None:
    (finding,) = compared(HEAD, f"{HEAD}scale {scale}\n").findings
    assert (finding.stage, finding.aspect, finding.a) == ("scale", "value by rows × columns", "1")
    shapes = ("768 × 3072", "3072 × 768", "768 × 768")
    expected = {shape: (1, pytest.approx(value)) for shape, value in zip(shapes, SCALES[scale], strict=True)}
    assert numbers(finding) == expected


def test_a_scale_that_changes_with_the_steps_is_told_at_both_ends() -> None:
    a, b = (f"{HEAD}scale {scale}\n" for scale in ("1 + 1 / step", "2 + 1 / step"))
    measured = numbers(found(compared(a, b), "scale", "value by rows × columns"))
    assert measured["768 × 768, step 1"] == (2, 3)
    assert measured["768 × 768, in the end"] == pytest.approx((1, 2), rel=1e-5)


def test_a_scale_with_its_numbers_spelled_otherwise_is_the_same() -> None:
    assert compared(f"{HEAD}scale 0.20\n", f"{HEAD}scale 0.2\n").is_same
    a, b = (f"{HEAD}adapt {rule}\nscale {scale}\n" for rule, scale in (("signed()", "0.20"), ("normuon()", "0.2")))
    assert stages_of(compared(a, b)) == {"adapt"}


def test_a_scale_without_a_value_at_the_defaults_is_compared_as_written() -> None:
    a, b = (f"{HEAD}hyper s = 0\nscale {scale}\n" for scale in ("1 / s", "2 / s"))
    finding = found(compared(a, b), "scale", "value by rows × columns")
    assert (finding.a, finding.b, finding.numbers) == ("1 / s", "2 / s", ())


def routed(matrix: str, otherwise: str = "rest") -> str:
    return f"{HEAD}route matrix {matrix}\nroute otherwise {otherwise}\n{OTHERWISE}"


ROUTES = {
    "by dimensions": ("ndim == 2", "rest"),
    "by names": ('ndim == 2 and not named("*embed*", "*gate*")', "rest"),
    "by roles": ('role(matrix, expert) and not named("*gate*")', "role(embedding, head, norm, bias, vector)"),
    "by sizes": ("ndim >= 2 and rows >= 1000 and numel < 10000000", "rest"),
    "with what no route takes": ("ndim == 2", "ndim == 1"),
    "by what the other does not take": ("rest", 'ndim < 2 or role(embedding) or named("*head*")'),
}


@pytest.mark.parametrize("name", ROUTES)
def test_examples_of_routes_take_the_route_that_the_optimizer_gives_them(name: str) -> None:
    other = routed("ndim == 17")
    comparison = compared(other, routed(*ROUTES[name]))
    told = {
        example: finding.b
        for finding in comparison.findings
        if finding.stage == "routes" and finding.aspect.startswith("such as ")
        for example in finding.aspect.removeprefix("such as ").split(", ")
    }
    optimizer = muondsl.load(routed(*ROUTES[name]))
    for parameter, shape in PARAMETERS:
        expected = taken(optimizer, parameter, shape)
        label = f"{parameter} {' × '.join(map(str, shape))}".strip()
        assert told.get(label, "otherwise") == expected, label


def taken(optimizer: type[SpecOptimizer], name: str, shape: tuple[int, ...]) -> str:
    """The route of a parameter, or that it is refused, as the generated class decides."""
    claims = [route for route, claims_it in optimizer.routes.items() if claims_it(Parameter(name, shape))]
    return claims[0] if len(claims) == 1 else "refused"


def test_specs_without_routes_are_told_to_have_none() -> None:
    stage = "adapt signed()\n"
    comparison = compared(HEAD + stage, HEAD + stage + OTHERWISE)
    finding = found(comparison, "routes", "matrix")
    assert (finding.a, finding.b) == ("everything", "what has it in its group's `route`")
    examples = [each for each in comparison.findings if each.aspect.startswith("such as")]
    assert [(each.a, each.b) for each in examples] == [("matrix", "the group says")]


def test_a_spec_that_knows_no_matrices_has_no_stage_in_common_with_one_that_does() -> None:
    comparison = compared(HEAD + "adapt signed()\n", HEAD + OTHERWISE)
    assert (comparison.a.stages, comparison.b.stages) == (("adapt",), ("otherwise",))
    aspects = {(each.aspect, each.a, each.b) for each in comparison.findings if each.stage == "routes"}
    assert aspects >= {("matrix", "everything", None), ("otherwise", None, "everything")}


VIEWS = """view flatten where ndim == 4
view split(3) where named("*qkv*")
adapt signed()
"""


def test_views_are_told_by_what_they_see_and_where() -> None:
    a, b = HEAD + VIEWS, HEAD + VIEWS.replace("split(3)", "split(2)").replace("ndim == 4", "ndim > 3")
    comparison = compared(a, b)
    assert {(each.aspect, each.a, each.b) for each in comparison.findings} == {
        ("flatten", "ndim == 4", "ndim > 3"),
        ("split(3)", "named(*qkv*)", None),
        ("split(2)", None, "named(*qkv*)"),
    }
    assert stages_of(comparison) == {"views"}


def test_an_order_of_views_is_a_difference_because_fingerprints_hold_it() -> None:
    first, second, *rest = VIEWS.splitlines(keepends=True)
    (finding,) = compared(HEAD + VIEWS, HEAD + second + first + "".join(rest)).findings
    assert (finding.stage, finding.a, finding.b) == ("views", "flatten, split(3)", "split(3), flatten")


def test_defaults_of_otherwise_are_told() -> None:
    a = HEAD + "otherwise sgd_momentum(0.9) with lr = 0.3\n"
    finding = found(compared(a, a.replace("0.3", "0.4")), "otherwise", "lr of its groups")
    assert (finding.a, finding.b) == ("0.3", "0.4")
    assert stages_of(compared(a, a.replace(" with lr = 0.3", ""))) == {"otherwise"}


def test_rules_of_otherwise_are_compared_as_stages_are() -> None:
    a, b = (f"{HEAD}otherwise {rule}(weight_decay = {decay})\n" for rule, decay in (("adamw", 0.1), ("adamw_hat", 0.2)))
    comparison = compared(a, b)
    assert stages_of(comparison) == {"otherwise"}
    finding = found(comparison, "otherwise", "epsilon")
    assert (finding.a, finding.b) == ("1e-8, added to the root over √(1 − 0.999^t)", "1e-8, added to the root")
    finding = found(comparison, "otherwise", "part taken away in a step")
    assert (finding.a, finding.b) == ("0.1 η of it", "0.2 η of it")
    late = dict(numbers(found(comparison, "otherwise", "root mean square of the result")))
    assert late["of an update of norm 100"] == pytest.approx((1, 1), rel=1e-4)


def test_a_state_of_another_initial_value_is_no_factor_but_a_difference() -> None:
    a, b = (f"{HEAD}otherwise {{\n  state m = {first}\n  m <- 0.9*m + update\n  update <- m\n}}\n" for first in "01")
    (finding,) = compared(a, b).findings
    assert (finding.aspect, finding.factor) == ("states", None)
    assert (finding.a or "").replace("at first 0", "at first 1") == finding.b


def test_checkpoints_are_noted_and_make_no_difference() -> None:
    a = HEAD + MOMENTUM + EMA
    b = a + 'checkpoint "torch.optim.SGD" with nesterov = false, maximize = none\n'
    comparison = compared(a, b)
    assert comparison.is_same
    (note,) = comparison.notes
    assert (note.stage, note.a, note.b) == (
        "checkpoints",
        None,
        "torch.optim.SGD with nesterov = False, maximize = None",
    )
