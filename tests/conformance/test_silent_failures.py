"""What elsewhere goes on without a word while it is not what was meant: refused, warned of, or right."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn
from torch.nn import Parameter
from torch.nn.utils import clip_grad_norm_, parameters_to_vector, parametrizations, weight_norm
from torch.optim import lr_scheduler

from generated.keller_jordan import KellerJordan
from generated.moonlight import Moonlight
from generated.nanochat import Nanochat
from generated.torch_muon import TorchMuon
from tests.runtime.subjects import (
    Optimizer,
    advance,
    assert_same,
    every_generated_class,
    flat,
    main_route,
    new_groups,
    new_parameters,
    random,
    set_gradients,
    snapshot,
)

ROUTED: list[Optimizer] = [KellerJordan, Moonlight, Nanochat]
routed_classes = pytest.mark.parametrize("kind", ROUTED, ids=lambda kind: kind.__name__)


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(10, 4)
        self.hidden = nn.Linear(4, 6)
        self.vocabulary = nn.Linear(6, 10, bias=False)


# Matrices that take the other route


@pytest.mark.parametrize("mark", ["_is_flat_param", "_fsdp_flattened", "placements"])
def test_parameters_that_a_wrapper_has_flattened_or_sharded_are_refused(mark: str) -> None:
    """With FSDP's use_orig_params a matrix is a piece of a vector under its old name, which AdamW would take."""
    shard = Parameter(torch.zeros(12))
    setattr(shard, mark, True)
    with pytest.raises(TypeError, match="Moonlight does not support sharded or flattened parameters"):
        Moonlight([("layers.0.weight", shard)])


@routed_classes
def test_an_optimizer_that_gets_no_matrix_says_so(kind: Optimizer) -> None:
    vector = parameters_to_vector(Model().parameters()).detach().requires_grad_()
    message = f"{kind.__name__} got no matrix: all of its parameters take the other route"
    with pytest.warns(UserWarning, match=message):
        kind([vector])
    with pytest.warns(UserWarning, match=message):
        kind.for_model(Model(), roles={"*": "head"})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kind([{"params": [vector], "route": "otherwise"}])
        kind.for_model(Model())
        kind(
            [{"params": [("bias", Parameter(torch.zeros(3)))]}, {"params": [("weight", Parameter(torch.zeros(3, 4)))]}]
        )


def test_a_vector_of_all_parameters_is_no_matrix() -> None:
    with pytest.raises(ValueError, match="no view says what matrices are in its 1 dimensions"):
        TorchMuon([parameters_to_vector(Model().parameters()).detach().requires_grad_()])


@routed_classes
@pytest.mark.parametrize("normed", [weight_norm, parametrizations.weight_norm], ids=["weight_norm", "parametrization"])
def test_what_a_weight_is_made_of_has_its_role(kind: Optimizer, normed: object) -> None:
    model = Model()
    assert callable(normed)
    for module in (model.tokens, model.hidden, model.vocabulary):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            normed(module)
    matrices = [row for row in kind.for_model(model).routing() if row.route == "matrix"]
    assert [(str(row.name).split(".")[0], row.shape) for row in matrices] == [("hidden", (6, 4))]


def test_the_routing_table_shows_every_matrix_that_is_not_one_to_the_optimizer() -> None:
    model = nn.ModuleDict({"fc": nn.Linear(4, 6), "body": Model()})
    rows = Moonlight.for_model(model).routing()
    left = [row.name for row in rows if row.route == "otherwise" and len(row.shape) > 1]
    # `fc` is the name of output heads. Here it is none.
    assert left == ["fc.weight", "body.tokens.weight", "body.vocabulary.weight"]
    rows = Moonlight.for_model(model, roles={"fc.weight": "matrix"}).routing()
    assert [row.route for row in rows if row.name == "fc.weight"] == ["matrix"]


# Words that nobody reads


@every_generated_class
def test_a_hyper_that_there_is_not_is_refused(kind: Optimizer) -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'momentom'"):
        kind(new_groups(new_parameters(kind)), momentom=0.9)


# Schedules


@every_generated_class
def test_a_scheduler_that_may_not_know_all_groups_is_warned_of(kind: Optimizer) -> None:
    optimizer = kind(new_groups(new_parameters(kind)))
    route = main_route(kind)
    schedule = lr_scheduler.LambdaLR(optimizer, lambda epoch: 0.5)
    number = len(optimizer.param_groups)
    optimizer.add_param_group({"params": new_parameters(kind)[route][:1], "route": route})
    with pytest.warns(UserWarning, match=f"made before parameter group {number} was added, and may leave its lr alone"):
        optimizer.step()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        schedule = lr_scheduler.LambdaLR(optimizer, lambda epoch: 0.5)
        optimizer.step()
        schedule.step()


@every_generated_class
def test_groups_without_any_schedule_are_not_warned_of(kind: Optimizer) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        advance(kind(new_groups(new_parameters(kind))), range(2))


@pytest.mark.parametrize("kind", [TorchMuon, Moonlight], ids=lambda kind: kind.__name__)
def test_states_go_on_while_the_learning_rate_is_zero(kind: Optimizer) -> None:
    """As in a warmup from zero: the momentum of a matrix is that of its gradients, whether or not it moves."""
    still, moving = (
        kind([{"params": [Parameter(random((4, 6), 1))], "route": "matrix", "lr": lr}]) for lr in (0.0, 0.1)
    )
    before = snapshot(still)
    advance(still, range(2))
    advance(moving, range(2))
    assert_same(snapshot(still)[:1], before)
    assert_same(snapshot(still)[1:], snapshot(moving)[1:])


# Gradients


@pytest.mark.parametrize("kind", [TorchMuon, Moonlight], ids=lambda kind: kind.__name__)
def test_clipping_all_gradients_by_one_factor_changes_no_bit_of_a_matrix(kind: Optimizer) -> None:
    """Momentum is divided by its norm: only differences between the factors of steps remain. A power of two rounds
    nothing.
    """
    plain, clipped = (kind([{"params": [Parameter(random((4, 6), 1))], "route": "matrix"}]) for _ in range(2))
    for step in range(3):
        for optimizer in (plain, clipped):
            set_gradients(flat_members(optimizer), step)
        (parameter,) = flat_members(clipped)
        assert parameter.grad is not None
        parameter.grad.mul_(2.0**-6)
        plain.step()
        clipped.step()
    assert_same(snapshot(plain)[:1], snapshot(clipped)[:1])


def test_clipping_one_step_alone_shifts_the_weights_of_the_average() -> None:
    plain, clipped = (TorchMuon([Parameter(random((4, 6), 1))], lr=0.1) for _ in range(2))
    for step in range(2):
        for optimizer in (plain, clipped):
            set_gradients(flat_members(optimizer), step)
        if step == 0:
            clip_grad_norm_(flat_members(clipped), 0.01)
        plain.step()
        clipped.step()
    assert not torch.allclose(*(each[0].detach() for each in map(flat_members, (plain, clipped))), atol=1e-3)


def flat_members(optimizer: torch.optim.Optimizer) -> list[Parameter]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


@every_generated_class
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
def test_no_two_tensors_of_a_step_share_memory(kind: Optimizer, dtype: torch.dtype) -> None:
    """torch.optim.Muon divides its own momentum by its norm where parameters are bf16 and nesterov is false."""
    parameters = new_parameters(kind, dtype)
    optimizer = kind(new_groups(parameters))
    advance(optimizer, range(2))
    for parameter in flat(parameters):
        tensors = [parameter.detach(), parameter.grad, *optimizer.state[parameter].values()]
        assert len({each.untyped_storage().data_ptr() for each in tensors}) == len(tensors)
    before = [tensor for parameter in flat(parameters) for tensor in _cloned(optimizer, parameter)]
    for parameter in flat(parameters):
        parameter.grad.fill_(float("nan"))
    assert_same([tensor for parameter in flat(parameters) for tensor in _cloned(optimizer, parameter)], before)


def _cloned(optimizer: torch.optim.Optimizer, parameter: Parameter) -> list[torch.Tensor]:
    return [parameter.detach().clone(), *(each.clone() for each in optimizer.state[parameter].values())]
