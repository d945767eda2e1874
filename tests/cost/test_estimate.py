"""Properties of estimates, the figures that GPT-2 small has, and what cannot be estimated."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from muondsl.cost.devices import DEVICES, find_device
from muondsl.cost.errors import CostError, UnknownDeviceError
from muondsl.cost.estimate import Estimate, estimate
from muondsl.cost.report import WIDTH, to_text
from muondsl.cost.shapes import NAMED, Shape
from muondsl.cost.summary import ratios, to_data
from muondsl.cost.work import Total, total
from muondsl.pipeline import Options
from muondsl.runtime.tiles import ARCHITECTURES
from tests.cost.expected import estimated, matrices, only_route, split_gpt2

SIZES = st.tuples(st.integers(1, 700), st.integers(1, 700))
FP16, FAITHFUL = Options(precision="fp16"), Options(numerics="faithful")


def summed(found: Estimate) -> Total:
    return total((work for route in found.routes for work in route.works), found.device)


@settings(max_examples=6)
@given(sizes=st.lists(SIZES, min_size=1, max_size=5), data=st.data())
def test_the_order_of_parameters_does_not_matter(sizes: list[tuple[int, int]], data: st.DataObject) -> None:
    shapes = [*matrices(*sizes), Shape("wte.weight", (30, 5)), Shape("ln.bias", (48,))]
    shuffled = data.draw(st.permutations(shapes))
    first, second = (to_data(estimated("nanochat", each), "x") for each in (shapes, shuffled))
    assert json.dumps(first["total"]) == json.dumps(second["total"])
    assert [route["launches"] for route in first["routes"]] == [route["launches"] for route in second["routes"]]


@settings(max_examples=6)
@given(sizes=st.lists(SIZES, min_size=1, max_size=4), more=SIZES)
def test_a_further_matrix_costs_more(sizes: list[tuple[int, int]], more: tuple[int, int]) -> None:
    before, after = (summed(estimated("moonlight", matrices(*each))) for each in (sizes, [*sizes, more]))
    assert after.flops > before.flops
    assert after.loaded > before.loaded
    assert after.stored > before.stored
    assert after.launches >= before.launches
    assert after.seconds >= before.seconds


@settings(max_examples=5)
@given(sizes=SIZES)
def test_equal_matrices_share_launches_and_cost_the_same_each(sizes: tuple[int, int]) -> None:
    one, three = (estimated("moonlight", matrices(*[sizes] * n)) for n in (1, 3))
    for single, triple in zip(only_route(one).works, only_route(three).works, strict=True):
        assert (triple.flops, triple.bytes) == (3 * single.flops, 3 * single.bytes)
        assert triple.launches == single.launches == 1


@settings(max_examples=5)
@given(sizes=SIZES)
def test_longer_sides_cost_more_in_the_same_form(sizes: tuple[int, int]) -> None:
    rows, cols = sizes
    small, large = (
        summed(estimated("moonlight", matrices(each), options=FAITHFUL)) for each in (sizes, (rows + 64, cols + 64))
    )
    assert large.elementwise_bytes > small.elementwise_bytes
    if min(rows, cols) > 128:
        assert large.product_flops > small.product_flops


def test_devices_differ_in_time_and_tiles_alone() -> None:
    found = {name: summed(estimated("moonlight", split_gpt2(), name)) for name in DEVICES}
    assert found["h100"].bytes == found["h200"].bytes
    assert found["h100"].seconds > found["h200"].seconds > found["b200"].seconds
    assert {device.architecture for device in DEVICES.values()} == set(ARCHITECTURES)


@pytest.mark.parametrize("shapes", [split_gpt2(), list(NAMED["gpt2"])], ids=["72 matrices", "48 matrices"])
@pytest.mark.parametrize(
    ("options", "most"), [(FAITHFUL, 0.76), (Options(), 0.64), (FP16, 0.58)], ids=["direct", "bf16", "fp16"]
)
def test_product_flops_on_gpt2(shapes: list[Shape], options: Options, most: float) -> None:
    found = estimated("moonlight", shapes, options=options)
    fraction = ratios(found.routes[0], found.device).product_flops
    assert fraction is not None
    assert fraction <= most


@pytest.mark.parametrize("shapes", [split_gpt2(), list(NAMED["gpt2"])], ids=["72 matrices", "48 matrices"])
@pytest.mark.parametrize(("spec", "most_launches"), [("moonlight", 35), ("nanochat", 37)])
def test_bytes_and_launches_on_gpt2(spec: str, most_launches: int, shapes: list[Shape]) -> None:
    found = estimated(spec, shapes)
    assert summed(found).launches <= most_launches
    for route in found.routes:
        figures = ratios(route, found.device)
        assert figures.elementwise_bytes_per_element <= 1.05 * (route.floor + route.repeated)
        assert figures.bytes_per_element <= 75


def test_nothing_reduces_a_whole_matrix_before_it_is_used_in_moonlight() -> None:
    found = estimated("moonlight", list(NAMED["gpt2"]))
    assert all(ratios(route, found.device).elementwise <= 1.05 for route in found.routes)


def test_a_spec_in_fp64_has_no_estimate() -> None:
    with pytest.raises(CostError, match="Moonlight has no Triton form to estimate: it computes in fp64"):
        estimated("moonlight", matrices((64, 64)), options=Options(precision="fp64"))


def test_a_spec_of_otherwise_alone_takes_all() -> None:
    found = estimate("optimizer Adam\nhyper lr = 1\notherwise adamw()\n", NAMED["gpt2"], DEVICES["h100"])
    assert [(route.route, route.parameters) for route in found.routes] == [("otherwise", len(NAMED["gpt2"]))]


def test_matrices_that_are_seen_in_a_parameter_are_counted_each() -> None:
    fused, apart = [Shape("experts", (4, 256, 128))], [Shape(f"w{index}", (256, 128)) for index in range(4)]
    one, other = (estimated("moonlight", shapes) for shapes in (fused, apart))
    assert one.routes == other.routes


def test_a_parameter_that_no_route_takes_is_named() -> None:
    with pytest.raises(CostError, match=r"conv\.weight of size \(8, 3, 3\) \(claimed by no route\)"):
        estimated("moonlight", [Shape("conv.weight", (8, 3, 3))])


def test_a_spec_without_routes_takes_hidden_matrices_and_leaves_the_rest_out() -> None:
    found = estimated("torch_muon", NAMED["gpt2"])
    assert only_route(found).parameters == 48
    assert len(found.left_out) == 100
    assert "left out: 100 parameters, 39,505,152 elements" in to_text(found, "gpt2")
    with pytest.raises(CostError, match="TorchMuon takes none of these parameters"):
        estimated("torch_muon", [Shape("bias", (8,))])


def test_an_unknown_device_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UnknownDeviceError, match=r"'h10' \(did you mean h100\?\); the known devices are a100, h100"):
        find_device("h10")
    assert find_device("H100") is DEVICES["h100"]


@pytest.mark.parametrize("spec", ["moonlight", "nanochat"])
def test_the_report_is_text_of_120_columns_and_says_that_it_is_modelled(spec: str) -> None:
    text = to_text(estimated(spec, NAMED["llama-70b"], "mi300x"), "llama-70b")
    assert max(map(len, text.splitlines())) <= WIDTH
    assert not any(line != line.rstrip() for line in text.splitlines())
    assert "modelled" in text.splitlines()[0]
    assert "Modelled, not measured" in text


def test_json_has_stable_keys() -> None:
    data = to_data(estimated("nanochat", NAMED["gpt2"]), "gpt2")
    assert json.loads(json.dumps(data)) == data
    assert list(data) == [
        *("kind", "spec", "numerics", "precision", "shapes", "parameter_format", "parameters", "elements"),
        *("left_out", "device", "routes", "total", "plain_total"),
    ]
    assert data["kind"] == "modelled"
    for route in data["routes"]:
        assert list(route) == [
            *("route", "parameters", "elements", "forms", "dense_flops", "elementwise_floor", "elementwise_repeated"),
            *("ratios", "launches", "total", "plain_operators", "plain_total"),
        ]
        for launch in route["launches"]:
            assert list(launch) == [
                *("kernel", "title", "kind", "matrices", "launches", "flops", "bytes_loaded", "bytes_stored"),
                *("bytes_loaded_by_tiles", "seconds", "bound"),
            ]
    assert data["total"]["launches"] == sum(len(route["launches"]) for route in data["routes"])
    assert data["plain_total"]["launches"] == 48 * 33 + 100 * 8
