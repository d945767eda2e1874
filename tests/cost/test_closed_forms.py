"""Costs of a few matrices against what is worked out by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from muondsl.cost.devices import DEVICES, LAUNCH_SECONDS
from muondsl.cost.estimate import estimate
from muondsl.cost.shapes import Shape
from muondsl.cost.summary import ratios
from muondsl.cost.work import Work
from muondsl.pipeline import Options
from tests.cost.expected import estimated, matrices, only_route, work

PROJECTION = """\
optimizer Projection

hyper lr = 0.1 in [0, inf)

rule project() {
  in bf16 {
    update <- 3*update - 0.5*(update @ (update' @ update))
  }
}

orthogonalize project()
scale 1
"""

TILES = 64
"""Of 128 × 128 in a square of 1024."""

LOWER = 28 + 8 * 3 / 4
"""Those below the diagonal, and three quarters of those on it."""


def products(works: tuple[Work, ...]) -> list[Work]:
    return [each for each in works if each.kind == "product"]


def test_moonlight_moves_each_tensor_once() -> None:
    route = only_route(estimated("moonlight", matrices((256, 512))))
    n, parts = 256 * 512, 4 * 8  # four strips of eight tiles, a program each
    momentum, size, apply = work(route, "nesterov"), work(route, "size"), work(route, "apply")
    assert (momentum.loaded, momentum.stored) == (8 * n, 4 * n + 2 * n + 4 * parts)
    assert (size.loaded, size.stored) == (4 * parts, 4)
    assert (apply.loaded, apply.stored) == (4 * n + 2 * n, 4 * n)
    assert route.floor == 24
    assert route.repeated == 0


def test_parts_of_a_large_matrix_are_about_a_thousand() -> None:
    route = only_route(estimated("moonlight", matrices((4096, 8192))))
    assert work(route, "size").loaded == 4 * 64 * (1024 // 64)


def test_nanochat_reads_the_result_twice_and_its_vectors_once_a_tile() -> None:
    route = only_route(estimated("nanochat", matrices((256, 512))))
    n, long, segments, tiles = 256 * 512, 512, 4, 4 * 8
    squares, vector, apply = work(route, "mean_square_sum"), work(route, "second_momentum_buffer"), work(route, "apply")
    assert (squares.loaded, squares.stored) == (2 * n, 4 * segments * long)
    assert (vector.loaded, vector.stored) == (4 * long + 4 * segments * long, 4 * long + 2 * 4)
    spread, numbers = 4 * long * 4, 2 * 4 * tiles
    assert (apply.loaded, apply.stored) == (4 * n + 2 * n + spread + numbers, 4 * n)
    assert route.repeated == 2


def test_direct_products_execute_lower_tiles_of_squares() -> None:
    found = estimated("moonlight", matrices((1024, 4096)), options=Options(numerics="faithful"))
    route = only_route(found)
    short, n, square = 1024, 1024 * 4096, 1024**2
    outer, squared, applied = products(route.works)[:3]
    assert outer.flops == LOWER / TILES * 2 * short * n
    assert squared.flops == LOWER / TILES * 2 * short**3
    assert applied.flops == 2 * short * n
    assert (outer.loaded, outer.stored) == (2 * n, 2 * square)
    assert (squared.loaded, squared.stored) == (2 * square, 2 * square)
    assert (applied.loaded, applied.stored) == (2 * (square + n), 2 * n)
    assert applied.loaded_by_tiles == 2 * (8 * 32 * 2 * 128 * short + n)
    assert sum(each.flops for each in products(route.works)) == 5 * (outer.flops + squared.flops + applied.flops)
    assert route.dense_flops == 5 * (4 * short * n + 2 * short**3)
    assert route.forms == {"direct": 1}


def test_gram_form_takes_three_panels_and_eleven_squares() -> None:
    route = only_route(estimated("moonlight", matrices((4096, 1024))))
    assert route.forms == {"gram": 1}
    unit, ratio = 2 * 1024**3, 4
    assert len(products(route.works)) == 3 + 11 + 3
    expected = unit * (LOWER / TILES * (3 * ratio + 11) + 3 * ratio)
    assert sum(each.flops for each in products(route.works)) == expected
    assert ratios(route, DEVICES["h100"]).product_flops == pytest.approx(expected / (unit * 5 * (2 * ratio + 1)))


def test_a_matrix_of_one_block_stays_on_chip() -> None:
    (small,) = products(only_route(estimated("moonlight", matrices((32, 16)))).works)
    assert small.kernel == "small_kernel"
    assert small.flops == 5 * (2 * 2 * 16 * 16 * 128 + 2 * 16**3)
    assert small.loaded == small.stored == 2 * 16 * 32


def test_a_longer_small_matrix_is_walked_by_every_step() -> None:
    (small,) = products(only_route(estimated("moonlight", matrices((64, 300)))).works)
    panel = 2 * 64 * 64 * 128 * 3
    assert small.flops == (2 * 5 + 1) * panel + 5 * 2 * 64**3
    assert (small.loaded, small.stored) == (6 * 64 * 304 * 2, 5 * 64 * 304 * 2)


def test_products_that_are_no_iteration_count_each_operand_once(tmp_path: Path) -> None:
    spec = tmp_path / "projection.muon"
    spec.write_text(PROJECTION, "utf-8")
    route = only_route(estimate(spec, matrices((1024, 640), (1024, 640)), DEVICES["h100"]))
    outer, applied = products(route.works)
    n, square, lower = 1024 * 640, 640**2, 10 + 5 * 3 / 4
    assert outer.flops == 2 * lower * 2 * 128**2 * 1024
    assert (outer.loaded, outer.stored) == (2 * 2 * n, 2 * 2 * square)
    assert applied.flops == 2 * 2 * n * 640
    assert (applied.loaded, applied.stored) == (2 * 2 * (n + square), 2 * 2 * n)
    assert ratios(route, DEVICES["h100"]).product_flops is None


def test_adamw_moves_28_bytes_and_odd_sizes_go_apart() -> None:
    shapes = [Shape("ln.bias", (48,)), Shape("wte.weight", (7, 3))]
    route = only_route(estimated("moonlight", shapes))
    assert route.route == "otherwise"
    even, odd = route.works[1:]
    assert (even.loaded, even.stored) == (16 * 48, 12 * 48)
    assert (odd.loaded, odd.stored) == (16 * 21, 12 * 21)


def test_bf16_parameters_halve_what_is_theirs() -> None:
    route = only_route(estimated("moonlight", matrices((256, 512)), parameters="bf16"))
    assert route.floor == 3 * 2 + 2 * 2 + 2 * 2


def test_time_is_the_longest_of_three() -> None:
    device = DEVICES["h100"]
    work = Work("k", "", "product", "bf16", 1, flops=int(989.4e9), loaded=3_350_000, stored=0, loaded_by_tiles=0)
    assert work.times(device) == pytest.approx({"compute": 1e-3, "memory": 1e-6, "launch": LAUNCH_SECONDS})
    assert (work.bound(device), work.seconds(device)) == ("compute", pytest.approx(1e-3))
    idle = Work("k", "", "elementwise", "fp32", 1, 1, 1, 1, 1, launches=3)
    assert (idle.bound(device), idle.seconds(device)) == ("launch", pytest.approx(3 * LAUNCH_SECONDS))
    busy = Work("k", "", "elementwise", "fp32", 1, 1, 3_350_000_000, 0, 0)
    assert (busy.bound(device), busy.seconds(device)) == ("memory", pytest.approx(1e-3))


def test_products_in_fp32_run_at_the_rate_of_fp32() -> None:
    found = estimated("moonlight", matrices((1024, 1024)), options=Options(precision="fp32"))
    outer = products(only_route(found).works)[0]
    assert outer.times(found.device)["compute"] == outer.flops / 66.9e12
