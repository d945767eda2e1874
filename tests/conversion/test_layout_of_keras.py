"""Variables of keras.optimizers.Muon: names, transposition, one count of steps, and runs that go on elsewhere."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import Parameter

import muondsl
from tests.conversion.runs import AVERAGE, gradient, loaded, random
from tests.conversion.stand_ins import KerasMuon

LIKE_KERAS = """optimizer LikeKeras
hyper lr           = 1e-3          in [0, inf)
hyper momentum     = 0.95          in [0, 1)
hyper weight_decay = 0.004         in [0, inf)
hyper betas        = (0.9, 0.999)  in [0, 1)
momentum      nesterov_heavy_ball(beta = momentum)
orthogonalize newton_schulz(steps = 5, coefficients = keller_jordan, eps = 1e-7)
scale         0.2 * sqrt(max(rows, cols))
decay         decoupled(weight_decay)
otherwise     adamw_hat(betas = betas, eps = 1e-7, weight_decay = weight_decay)
"""
SHAPES = {
    "embedding/embeddings": (7, 3),
    "dense/kernel": (3, 5),
    "dense/bias": (5,),
    "up/kernel": (5, 4),
    "head/kernel": (4, 7),
}
MATRICES, OTHERS = ("dense/kernel", "up/kernel"), ("embedding/embeddings", "dense/bias", "head/kernel")
EXCLUDED = ("head",)


def as_torch(path: str, value: Tensor) -> Tensor:
    """Keras's kernels are [inputs, outputs]."""
    return value.mT if path.endswith("kernel") else value


def gradients(step: int) -> dict[str, Tensor]:
    return {path: gradient(index, shape, step) for index, (path, shape) in enumerate(SHAPES.items())}


def trained_keras(steps: int, **config: Any) -> KerasMuon:
    model = {path: 0.1 * random(shape, index) for index, (path, shape) in enumerate(SHAPES.items())}
    optimizer = KerasMuon(model, EXCLUDED, **config)
    for step in range(steps):
        optimizer.step(gradients(step))
    return optimizer


def torch_groups(model: dict[str, Tensor], *, names: bool = False) -> list[dict[str, Any]]:
    """Groups as a conversion from Keras has them: matrices, then the others, in the order of the variables."""
    routes = {"matrix": MATRICES, "otherwise": OTHERS}
    return [
        {
            "params": [
                (path, parameter) if names else parameter
                for path in paths
                for parameter in (Parameter(as_torch(path, model[path]).clone(memory_format=torch.contiguous_format)),)
            ],
            "route": route,
        }
        for route, paths in routes.items()
    ]


def step_torch(optimizer: Any, step: int) -> None:
    given = gradients(step)
    members = [each for group in optimizer.param_groups for each in group["params"]]
    for path, parameter in zip((*MATRICES, *OTHERS), members, strict=True):
        parameter.grad = as_torch(path, given[path]).contiguous()
    optimizer.step()


def assert_same_model(keras: KerasMuon, optimizer: Any) -> None:
    members = [each for group in optimizer.param_groups for each in group["params"]]
    for path, parameter in zip((*MATRICES, *OTHERS), members, strict=True):
        torch.testing.assert_close(parameter.detach(), as_torch(path, keras.model[path]), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("ratio", [1, 0.25])
def test_a_run_of_keras_goes_on_in_torch(ratio: float) -> None:
    keras = trained_keras(4, adam_lr_ratio=ratio, learning_rate=0.01)
    found = muondsl.convert(keras.saved(), "keras.optimizers.Muon", LIKE_KERAS)
    optimizer = loaded(LIKE_KERAS)(torch_groups(keras.model))
    optimizer.load_state_dict(found.checkpoint)
    for step in range(4, 8):
        keras.step(gradients(step))
        step_torch(optimizer, step)
    assert_same_model(keras, optimizer)


@pytest.mark.parametrize("ratio", [1, 0.25])
def test_a_run_of_torch_goes_on_in_keras(ratio: float) -> None:
    keras = trained_keras(0, learning_rate=0.01)
    optimizer = loaded(LIKE_KERAS)(torch_groups(keras.model, names=True), lr=0.01)
    optimizer.param_groups[1].update(lr=0.01 * ratio, weight_decay=0.004 / ratio)
    for step in range(4):
        step_torch(optimizer, step)
    members = [each for group in optimizer.param_groups for each in group["params"]]
    keras.model = {
        path: as_torch(path, member.detach()).clone()
        for path, member in zip((*MATRICES, *OTHERS), members, strict=True)
    }
    found = muondsl.convert(optimizer.state_dict(), LIKE_KERAS, "keras.optimizers.Muon")
    keras.load(found.checkpoint)
    assert keras.config["adam_lr_ratio"] == pytest.approx(ratio)
    for step in range(4, 8):
        keras.step(gradients(step))
        step_torch(optimizer, step)
    assert_same_model(keras, optimizer)


def test_the_average_of_transposed_gradients_comes_out_of_the_sum_of_keras() -> None:
    keras = trained_keras(5, momentum=0.9)
    saved = keras.saved()
    for path in OTHERS:
        for state in ("momentum", "velocity"):
            del saved["variables"][KerasMuon.path_of(path, state)]
    found = muondsl.convert(saved, "keras.optimizers.Muon", AVERAGE)
    for number, path in enumerate(MATRICES):
        average = torch.zeros(SHAPES[path][::-1], dtype=torch.float64)
        for step in range(5):
            average = 0.9 * average + 0.1 * gradients(step)[path].T
        buffer = found.checkpoint["state"][number]["momentum_buffer"]
        torch.testing.assert_close(buffer, average, rtol=1e-13, atol=1e-15)
        assert buffer.is_contiguous()
    expected = "dense_kernel, transposed → 0 [5, 3]: momentum_buffer × 0.1 = 1 − 0.9, rounded once to float64"
    assert expected in str(found.report)
    assert found.checkpoint["param_groups"][0]["lr"] == pytest.approx(1e-3)


def test_from_keras_and_back_is_bitwise_where_units_agree() -> None:
    keras = trained_keras(3)
    saved = keras.saved()
    there = muondsl.convert(saved, "keras.optimizers.Muon", LIKE_KERAS).checkpoint
    back = muondsl.convert(there, LIKE_KERAS, "keras.optimizers.Muon").checkpoint
    assert back["variables"].keys() == saved["variables"].keys()
    for path, value in saved["variables"].items():
        assert back["variables"][path].dtype == value.dtype
        assert torch.equal(back["variables"][path], value)
    assert back["config"].items() <= {**saved["config"], "learning_rate": pytest.approx(1e-3)}.items()


def test_a_matrix_is_transposed_whatever_it_is_called_and_a_table_is_not() -> None:
    keras = KerasMuon({"patch_embed/kernel": random((3, 5), 1), "embedding/embeddings": random((7, 3), 2)})
    keras.step({path: random(value.shape, 3) for path, value in keras.model.items()})
    found = muondsl.convert(keras.saved(), "keras.optimizers.Muon", LIKE_KERAS).checkpoint
    variables = keras.variables
    kernel, table = found["state"][0]["momentum_buffer"], found["state"][1]["exp_avg"]
    assert torch.equal(kernel, variables["muon/patch_embed_kernel_momentum"].T)
    assert torch.equal(table, variables["muon/embedding_embeddings_momentum"])


def test_steps_are_those_of_the_optimizer_where_gradients_were_accumulated() -> None:
    saved = trained_keras(3).saved()
    saved["config"]["gradient_accumulation_steps"] = 4
    saved["variables"]["muon/iteration"] = torch.tensor(13)
    found = muondsl.convert(saved, "keras.optimizers.Muon", LIKE_KERAS).checkpoint
    assert [float(found["state"][number]["step"]) for number in (2, 3, 4)] == [3, 3, 3]


def test_a_learning_rate_that_a_schedule_gives_must_be_said() -> None:
    saved = trained_keras(2).saved()
    saved["config"]["learning_rate"] = {"class_name": "CosineDecay", "config": {"decay_steps": 100}}
    del saved["variables"]["muon/learning_rate"]
    with pytest.raises(muondsl.ConversionError, match=r"does not say what `lr` is\n.*--hyper lr=VALUE"):
        muondsl.convert(saved, "keras.optimizers.Muon", LIKE_KERAS)
    found = muondsl.convert(saved, "keras.optimizers.Muon", LIKE_KERAS, hypers={"lr": 0.5}).checkpoint
    assert [group["lr"] for group in found["param_groups"]] == [0.5, 0.5]


def to_keras(optimizer: Any, **options: Any) -> None:
    muondsl.convert(optimizer.state_dict(), LIKE_KERAS, "keras.optimizers.Muon", **options)


def test_keras_holds_one_of_each_for_all() -> None:
    model = trained_keras(0).model
    for hyper in ("lr", "momentum", "weight_decay"):
        groups = torch_groups(model, names=True)
        matrices = groups[0]["params"]
        groups = [{"params": [each], "route": "matrix"} for each in matrices]
        optimizer = loaded(LIKE_KERAS)(groups)
        optimizer.param_groups[1][hyper] = 0.5
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                parameter.grad = torch.ones_like(parameter)
        optimizer.step()
        with pytest.raises(
            muondsl.ConversionError, match=f"the groups have `{hyper}` .* and 0.5, and Keras has one for all"
        ):
            to_keras(optimizer, step=1)


@pytest.mark.parametrize(
    ("names", "shapes", "complaint"),
    [
        (("a.b_c", "a_b.c"), ((3, 4), (4, 3)), r"parameter 1 \(a_b.c\): .* called a_b_c, as parameter 0"),
        (("conv",), ((4, 3, 3, 3),), r"of \[4, 3, 3, 3\]: Keras stores kernels of convolutions in another order"),
    ],
)
def test_what_keras_could_not_tell_apart_or_hold_is_refused(
    names: tuple[str, ...], shapes: tuple[tuple[int, ...], ...], complaint: str
) -> None:
    parameters = [(name, Parameter(random(shape, 1))) for name, shape in zip(names, shapes, strict=True)]
    route = "matrix" if len(shapes[0]) == 2 else "otherwise"
    optimizer = loaded(LIKE_KERAS)([{"params": parameters, "route": route}])
    for _, parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    with pytest.raises(muondsl.ConversionError, match=complaint):
        to_keras(optimizer, step=1)


def test_a_nameless_matrix_that_adam_takes_may_be_a_table() -> None:
    optimizer = loaded(LIKE_KERAS)([{"params": (own := [Parameter(random((3, 4), 1))]), "route": "otherwise"}])
    own[0].grad = torch.ones_like(own[0])
    optimizer.step()
    with pytest.raises(
        muondsl.ConversionError, match="no name that says whether it is a table of embeddings or a kernel"
    ):
        to_keras(optimizer)


def test_steps_are_counted_once_for_all() -> None:
    keras = trained_keras(0)
    optimizer = loaded(LIKE_KERAS)(torch_groups(keras.model, names=True))
    step_torch(optimizer, 0)
    matrices = optimizer.state_dict()
    matrices = {
        "state": {0: matrices["state"][0], 1: matrices["state"][1]},
        "param_groups": matrices["param_groups"][:1],
    }
    with pytest.raises(muondsl.ConversionError, match=r"counts none\n  help: `--step N`"):
        muondsl.convert(matrices, LIKE_KERAS, "keras.optimizers.Muon")
    found = muondsl.convert(matrices, LIKE_KERAS, "keras.optimizers.Muon", step=9).checkpoint
    assert int(found["variables"]["muon/iteration"]) == 9
    uneven = optimizer.state_dict()
    uneven["state"][2]["step"] += 1
    with pytest.raises(muondsl.ConversionError, match="counts 1, 2"):
        muondsl.convert(uneven, LIKE_KERAS, "keras.optimizers.Muon")


def with_an_accumulator(saved: dict[str, Any]) -> None:
    saved["variables"]["muon/dense_kernel_gradient_accumulator"] = torch.zeros(3, 5)


def with_a_velocity_alone(saved: dict[str, Any]) -> None:
    del saved["variables"]["muon/dense_bias_momentum"]


def without_iteration(saved: dict[str, Any]) -> None:
    del saved["variables"]["muon/iteration"]


def without_momentum(saved: dict[str, Any]) -> None:
    del saved["config"]["momentum"]


def without_config(saved: dict[str, Any]) -> None:
    del saved["config"]


def with_a_convolution(saved: dict[str, Any]) -> None:
    for state in ("momentum", "velocity"):
        saved["variables"][f"muon/conv_kernel_{state}"] = torch.zeros(3, 3, 2, 4)


def with_a_name_twice(saved: dict[str, Any]) -> None:
    saved["variables"]["adam/dense_kernel_momentum"] = torch.zeros(3, 5)


def with_sizes_that_differ(saved: dict[str, Any]) -> None:
    saved["variables"]["muon/head_kernel_velocity"] = torch.zeros(4, 8)


def with_a_list(saved: dict[str, Any]) -> None:
    saved["variables"]["muon/dense_kernel_momentum"] = [0.0]


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (with_an_accumulator, "dense_kernel_gradient_accumulator: it is neither a momentum nor a velocity"),
        (with_a_velocity_alone, "it has no variable dense_bias_momentum"),
        (without_iteration, "no variable `iteration`"),
        (without_momentum, "its config has no `momentum`"),
        (without_config, "no dictionary of `config` and `variables`"),
        (with_a_convolution, "conv_kernel: it has 4 dimensions"),
        (with_a_name_twice, "there are two variables dense_kernel_momentum"),
        (with_sizes_that_differ, r"\(head_kernel\): `exp_avg_sq` should be \[7, 4\] but is \[8, 4\]"),
        (with_a_list, "no plain tensor but list"),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_variables_that_are_not_those_of_muon_are_refused(spoil: Any, complaint: str) -> None:
    saved = trained_keras(1).saved()
    spoil(saved)
    with pytest.raises(muondsl.ConversionError, match=complaint):
        muondsl.convert(saved, "keras.optimizers.Muon", LIKE_KERAS)
