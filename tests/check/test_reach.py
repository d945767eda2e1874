"""Names that cross stages, rules on other tensors, the stage behind the step, functions of matrices, warnings."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

import muondsl
from muondsl.cli import main
from tests.check.specs import HEAD, accepted, codes, places


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("momentum { export let d = update\n update <- d * 2 }\nadapt { update <- update + d }", []),
        ("momentum { export let d = update\n update <- update * 2 }\ndecay decoupled(0.1 * norm(d))", []),
        ("momentum { export let k = lr * 2\n update <- update * 2 }\nscale k", []),
        ("momentum { in bf16 { export let d = update * 2 }\n update <- update * 2 }\nadapt { update <- d }", []),
        ("momentum { let d = update * 2\n update <- d }\nadapt { update <- d }", ["M0201 d"]),
        ("momentum { export let d = update\n update <- update * 2 }", ["M0207 d"]),
        ("adapt { update <- update + d }\ndecay { export let d = update\n parameter <- d }", ["M0201 d"]),
        (
            "momentum { export let d = update\n update <- d * 2 }\nadapt { export let d = 2\n update <- update * d }",
            ["M0202 d"],
        ),
        ("rule r() { export let d = update\n update <- d }\nmomentum r()", ["M0212 d"]),
        ("rule r() { update <- update * d }\nmomentum { export let d = 2\n r() }", ["M0201 d"]),
        ("momentum { for i in [1, 2] { export let d = i * update\n update <- d } }", ["M0212 d"]),
        ("momentum { export let d = nowhere\n update <- d * 2 }\nadapt { update <- d }", ["M0201 nowhere"]),
        ("otherwise { export let d = update * 2\n update <- d }", []),
        ("otherwise { export let d = update * 2\n update <- update * 2 }", ["M0207 d"]),
    ],
)
def test_an_exported_name_is_known_from_there_on_and_in_the_spec_alone(text: str, found: list[str]) -> None:
    assert places(text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("momentum { let x = update * 2\n polar() on x\n update <- x }", []),
        ("project { polar() on parameter }", []),
        ("momentum { state m = zeros\n m <- m + update\n polar() on m\n update <- m }", []),
        ("momentum { let x = update'\n polar() on x\n update <- x' }", []),
        ("momentum { polar() on update }", []),
        ("project polar()", ["M0504 update", "M0503 project"]),
        ("momentum { polar() on gradient\n update <- update * 2 }", ["M0208 gradient"]),
        ("project { polar() on previous\n parameter <- previous }", ["M0208 previous"]),
        ("momentum { polar() on nothing\n update <- update * 2 }", ["M0201 nothing"]),
        ("momentum { let mask = update > 0\n polar() on mask\n update <- if mask then update else 0 }", ["M0309 mask"]),
        ("momentum { let k = 2 * lr\n polar() on k\n update <- k * update }", ["M0208 k"]),
        ("rule r(x) { polar() on x\n update <- x * 2 }\nmomentum r(gradient)", ["M0208 x"]),
        ("rule r() { polar() on y\n update <- update * 2 }\nmomentum r()", ["M0201 y"]),
        ("momentum { nesterov(0.9) on nothing\n update <- update * 2 }", ["M0201 nothing"]),
    ],
)
def test_a_rule_on_another_tensor_changes_that_alone(text: str, found: list[str]) -> None:
    assert sorted(places(text)) == sorted(found)


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("svd(update)[0] @ svd(update)[2]", []),
        ("svd(update)[0] @ svd(update)[0]", ["M0302"]),
        ("svd(2)[0]", ["M0304"]),
        ("svd(update)", ["M0304"]),
        ("svd(update, over = cols)[0]", ["M0318"]),
        ("trace(update) * update", ["M0322"]),
        ("solve_lower(update @ update', update)", []),
        ("solve_lower(update' @ update, update)", ["M0302"]),
        ("solve_lower(update, update)", ["M0322"]),
        ("identity(update @ update') @ update", []),
        ("oriented(update)", ["M0306"]),
        ("oriented(oriented(update))", []),
        ("update * oriented(norm(update, over = cols))", ["M0319"]),
        ("oriented(update) @ oriented(update)' * update", ["M0301"]),
        ("quantile(update, norm(update)) * update", ["M0303"]),
        ("quantile(update, -0.1) * update", ["M0323"]),
        ("quantile(update) * update", ["M0318"]),
        ("sum(sum(update, over = last), over = last) * update", ["M0307"]),
    ],
)
def test_functions_of_matrices_take_what_fits(expression: str, found: list[str]) -> None:
    assert codes(f"adapt {{ update <- {expression} }}") == found


def test_items_that_are_not_needed_are_left_out_of_a_list_alone() -> None:
    assert codes("momentum { let (_, s, _) = svd(update)\n update <- update / max(s) }") == []
    assert codes("momentum { let (u, s, _) = svd(update)\n update <- update / max(s) }") == ["M0207"]
    assert codes("momentum { let _ = update * 2\n update <- update * 2 }") == ["M0207"]


def test_only_a_quantile_has_a_meaning_in_otherwise() -> None:
    assert codes("otherwise { update <- update * quantile(update, 0.5) }") == []
    for call in ("trace(update)", "identity(update)", "oriented(update)", "svd(update)[0]"):
        assert codes(f"otherwise {{ update <- {call} }}") == ["M0313"]


def test_a_step_is_projected_behind_it() -> None:
    spec = f"""{HEAD}
hyper radius = 2 in (0, inf)
decay decoupled(0.5)
project {{
  parameter <- parameter * (radius / norm(parameter)) + 0 * previous
  parameter <- lerp(parameter, previous, 0.25)
}}
"""
    parameter = torch.nn.Parameter(torch.randn(3, 4, dtype=torch.float64))
    before = parameter.detach().clone()
    parameter.grad = torch.randn(3, 4, dtype=torch.float64)
    muondsl.load(spec)([parameter]).step()
    stepped = before * (1 - 0.1 * 0.5) - 0.1 * parameter.grad
    torch.testing.assert_close(parameter.detach(), 0.75 * 2 * stepped / stepped.norm() + 0.25 * before)


def test_a_vector_that_is_kept_finds_the_spectral_norm() -> None:
    spec = f"""{HEAD}
momentum {{
  state v[1, cols] = 1
  for i in range(30) {{
    v <- (update' @ (update @ v'))'
    v <- v / norm(v)
  }}
  update <- update / norm(update @ v')
}}
"""
    for shape in ((6, 4), (4, 6)):
        parameter = torch.nn.Parameter(torch.zeros(shape, dtype=torch.float64))
        left, _, right = torch.linalg.svd(torch.randn(shape, dtype=torch.float64), full_matrices=False)
        parameter.grad = left @ torch.diag(torch.tensor([8.0, 2, 1, 0.5], dtype=torch.float64)) @ right
        muondsl.load(spec)([parameter]).step()
        torch.testing.assert_close(-10 * parameter.detach(), parameter.grad / 8)


def test_routes_can_ask_for_the_aspect() -> None:
    spec = f"""{HEAD}
route matrix    ndim == 2 and min(rows, cols) >= 4 and max(rows, cols) <= 128*min(rows, cols)
route otherwise rest
otherwise {{ update <- update * 2 }}
"""
    shapes = ((4, 512), (4, 513), (3, 8), (8,))
    groups = muondsl.load(spec)([torch.nn.Parameter(torch.zeros(shape)) for shape in shapes]).param_groups
    routes = {tuple(each.shape): group["route"] for group in groups for each in group["params"]}
    assert [routes[shape] for shape in shapes] == ["matrix", "otherwise", "otherwise", "otherwise"]


def test_a_scalar_of_the_spec_is_shared_by_stages_and_counts_each_parameters_steps() -> None:
    spec = f"""{HEAD}
let mu = lerp(0.5, 0.9, min(step / 4, 1))
momentum ema(mu)
scale 1 + mu
"""
    parameter = torch.nn.Parameter(torch.zeros(2, 3, dtype=torch.float64))
    optimizer = muondsl.load(spec)([parameter])
    average, expected = 0.0, torch.zeros(2, 3, dtype=torch.float64)
    for step in range(1, 7):
        parameter.grad = torch.full((2, 3), float(step), dtype=torch.float64)
        optimizer.step()
        mu = 0.5 + 0.4 * min(step / 4, 1)
        average = mu * average + (1 - mu) * step
        expected -= 0.1 * (1 + mu) * average
    torch.testing.assert_close(parameter.detach(), expected)


def test_warnings_are_printed_and_fail_nothing(tmp_path: Path) -> None:
    path = tmp_path / "costly.muon"
    path.write_text(f"{HEAD}orthogonalize polar()\n")
    for command in (["check", str(path)], ["compile", str(path), "-o", str(tmp_path)]):
        done = CliRunner().invoke(main, command)
        assert done.exit_code == 0
        assert done.stderr.startswith("warning[M0901]: `svd` takes many times as long")
        assert "in this use of `polar`" in done.stderr
        assert "M0901" not in done.stdout


def test_a_warning_is_given_once_for_each_place_and_changes_no_identity() -> None:
    spec = accepted("momentum { for i in [1, 2] { update <- svd(update)[0] @ svd(update)[2] } }")
    assert [warning.code for warning in spec.warnings] == ["M0901", "M0901"]
    assert accepted("momentum nesterov(0.9)").warnings == ()
