"""Every generated class steps as torch's own tests ask of an optimizer."""

from __future__ import annotations

import gc
import warnings

import pytest
import torch
from torch import Tensor
from torch.nn import Parameter

from tests.runtime.subjects import (
    Optimizer,
    advance,
    assert_same,
    every_class_costly,
    every_class_that_rests,
    every_class_with_states,
    every_generated_class,
    flat,
    main_route,
    new_groups,
    new_parameters,
    random,
    set_gradients,
    snapshot,
)


@every_generated_class
def test_a_step_moves_every_parameter_against_its_gradient(kind: Optimizer) -> None:
    parameters = new_parameters(kind)
    optimizer = kind(new_groups(parameters, lr=1e-3, weight_decay=0.0))
    before = [parameter.detach().clone() for parameter in flat(parameters)]
    advance(optimizer, [0])
    for parameter, begin in zip(flat(parameters), before, strict=True):
        assert float(((parameter.detach() - begin) * parameter.grad).sum()) < 0


@every_class_that_rests
def test_a_closure_is_evaluated_with_gradients_and_its_loss_returned(kind: Optimizer) -> None:
    parameters = new_parameters(kind)
    optimizer = kind(new_groups(parameters, lr=0.01))
    grad_modes = []

    def closure() -> Tensor:
        grad_modes.append(torch.is_grad_enabled())
        optimizer.zero_grad()
        loss = sum((parameter.square().sum() for parameter in flat(parameters)), torch.zeros(()))
        loss.backward()
        return loss

    with torch.no_grad():
        losses = [float(optimizer.step(closure)) for _ in range(3)]
    assert grad_modes == [True] * 3
    assert losses[2] < losses[1] < losses[0]
    assert optimizer.step() is None


@every_generated_class
def test_missing_gradients_are_skipped_and_leave_parameter_and_state_alone(kind: Optimizer) -> None:
    parameters = new_parameters(kind)
    optimizer = kind(new_groups(parameters))
    absent = [members[0] for members in parameters.values()]
    set_gradients(flat(parameters), 0)
    for parameter in absent:
        parameter.grad = None
    before = [parameter.detach().clone() for parameter in absent]
    optimizer.step()
    assert all(torch.equal(parameter, begin) for parameter, begin in zip(absent, before, strict=True))
    assert not any(parameter in optimizer.state for parameter in absent)
    assert len(optimizer.state) == len(flat(parameters)) - len(absent)


@every_generated_class
def test_gradients_that_come_and_go_step_only_where_they_are(kind: Optimizer) -> None:
    """A parameter whose gradient is missing at some steps ends as one that never saw these steps."""
    parameters, others = new_parameters(kind), new_parameters(kind)
    coming, steady = kind(new_groups(parameters)), kind(new_groups(others))
    for step in range(6):
        set_gradients(flat(parameters), step)
        set_gradients(flat(others), step)
        if step % 2:
            coming.zero_grad()
        coming.step()
        if step % 2 == 0:
            steady.step()
    assert_same(snapshot(coming), snapshot(steady))


@every_generated_class
def test_zero_grad_drops_gradients_or_makes_them_zero(kind: Optimizer) -> None:
    parameters = new_parameters(kind)
    optimizer = kind(new_groups(parameters))
    set_gradients(flat(parameters), 0)
    optimizer.zero_grad(set_to_none=False)
    assert all(parameter.grad is not None and not parameter.grad.any() for parameter in flat(parameters))
    optimizer.zero_grad()
    assert all(parameter.grad is None for parameter in flat(parameters))


EMPTY = {"matrix": ((0, 4), (4, 0), (0, 0)), "otherwise": ((0,), (2, 0, 3))}


@every_generated_class
def test_empty_parameters_are_left_alone(kind: Optimizer) -> None:
    parameters, others = new_parameters(kind), new_parameters(kind)
    empty = {route: [Parameter(torch.zeros(shape)) for shape in EMPTY[route]] for route in parameters}
    mixed, plain = (
        kind(new_groups({route: [*empty[route], *parameters[route]] for route in parameters})),
        kind(new_groups(others)),
    )
    for step in range(2):
        set_gradients(flat(empty), step)
        for optimizer, stepped in ((mixed, parameters), (plain, others)):
            set_gradients(flat(stepped), step)
            optimizer.step()
    assert not any(parameter in mixed.state for parameter in flat(empty))
    assert_same([each.detach() for each in flat(parameters)], [each.detach() for each in flat(others)])
    assert sum(0 in row.shape for row in mixed.routing()) == len(flat(empty))


@every_generated_class
def test_parameters_of_several_formats_step_side_by_side(kind: Optimizer) -> None:
    formats = (torch.float64, torch.float32, torch.bfloat16)
    together, apart = ([new_parameters(kind, dtype) for dtype in formats] for _ in range(2))
    one = kind(new_groups({route: [each for found in together for each in found[route]] for route in kind.states}))
    several = [kind(new_groups(found)) for found in apart]
    for step in range(2):
        for found in (*together, *apart):
            set_gradients(flat(found), step)
        for optimizer in (one, *several):
            optimizer.step()
    for found, expected in zip(together, apart, strict=True):
        assert_same([each.detach() for each in flat(found)], [each.detach() for each in flat(expected)])


@every_generated_class
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_gradients_are_never_modified(kind: Optimizer, dtype: torch.dtype) -> None:
    parameters = new_parameters(kind, dtype)
    optimizer = kind(new_groups(parameters))
    for step in range(2):
        set_gradients(flat(parameters), step)
        before = [parameter.grad.clone() for parameter in flat(parameters)]
        optimizer.step()
        assert_same([parameter.grad for parameter in flat(parameters)], before)


@every_class_that_rests
def test_zero_gradients_without_decay_leave_parameters_as_they_are(kind: Optimizer) -> None:
    parameters = new_parameters(kind)
    optimizer = kind(new_groups(parameters, weight_decay=0.0))
    before = [parameter.detach().clone() for parameter in flat(parameters)]
    for parameter in flat(parameters):
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    assert_same([parameter.detach() for parameter in flat(parameters)], before)


@every_generated_class
@pytest.mark.parametrize("what", ["parameter", "gradient", "both"])
def test_memory_layout_does_not_change_results(kind: Optimizer, what: str) -> None:
    plain, laid = Parameter(random((6, 4), 3)), Parameter(random((6, 4), 3))
    if what != "gradient":
        laid = Parameter(random((6, 4), 3).T.contiguous().T)
    optimizers = [kind([{"params": [each], "route": main_route(kind)}], lr=1e-3) for each in (plain, laid)]
    for step in range(3):
        plain.grad = random((6, 4), 50 + step)
        laid.grad = plain.grad.T.contiguous().T if what != "parameter" else plain.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    assert laid.is_contiguous() == (what == "gradient")
    # Here the bits are the same. Another machine may sum products of other strides in another order, and bf16 rounds
    # what it sums: three units of it, in each of three steps of 1e-3, are less than this.
    assert torch.allclose(plain, laid, rtol=0, atol=2e-5)


@every_generated_class
def test_a_strided_view_of_a_larger_tensor_is_stepped_like_a_copy_of_it(kind: Optimizer) -> None:
    storage = random((12, 8), 4)
    rest = storage[1::2].clone()
    view, plain = Parameter(storage[::2, :4]), Parameter(storage[::2, :4].clone())
    optimizers = [kind([{"params": [each], "route": main_route(kind)}]) for each in (view, plain)]
    for optimizer in optimizers:
        advance(optimizer, range(3))
    # A norm of the parameter itself sums its elements in the order in which they lie.
    assert torch.allclose(view, plain, rtol=0, atol=1e-6 if kind.__name__ == "MuonHyperball" else 0)
    assert torch.equal(storage[1::2], rest)


@every_generated_class
def test_states_are_made_at_the_first_step_under_their_names(kind: Optimizer) -> None:
    parameters = new_parameters(kind)
    optimizer = kind(new_groups(parameters))
    assert not optimizer.state
    advance(optimizer, [0])
    for route, members in parameters.items():
        names = {state.name for state in kind.states[route]} | ({"step"} if route in kind.counts_steps else set())
        assert all(set(optimizer.state[parameter]) == names for parameter in members)


@every_generated_class
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_states_have_the_format_of_their_parameter_unless_the_spec_says_otherwise(
    kind: Optimizer, dtype: torch.dtype
) -> None:
    parameters = new_parameters(kind, dtype)
    optimizer = kind(new_groups(parameters))
    advance(optimizer, [0])
    for route, members in parameters.items():
        for parameter in members:
            found = {name: state.dtype for name, state in optimizer.state[parameter].items()}
            expected = {state.name: state.dtype or dtype for state in kind.states[route]}
            # As torch's: fp32 counts steps far enough, whatever the format of the parameter.
            assert found == expected | ({"step": torch.float32} if route in kind.counts_steps else {})


@every_class_with_states
def test_states_have_the_memory_format_of_the_gradient(kind: Optimizer) -> None:
    parameter = Parameter(random((6, 4), 1))
    parameter.grad = random((4, 6), 2).T
    optimizer = kind([{"params": [parameter], "route": main_route(kind)}])
    optimizer.step()
    full = [each.name for each in kind.states[main_route(kind)] if each.is_full and each.initial == 0]
    assert {optimizer.state[parameter][name].stride() for name in full} == {(1, 6)}


@every_generated_class
@pytest.mark.parametrize("default", [torch.float64, torch.bfloat16], ids=str)
def test_the_default_dtype_changes_no_bit(kind: Optimizer, default: torch.dtype) -> None:
    plain, other = (kind(new_groups(new_parameters(kind))) for _ in range(2))
    advance(plain, [0])
    set_gradients([each for group in other.param_groups for each in group["params"]], 0)
    torch.set_default_dtype(default)
    try:
        other.step()
    finally:
        torch.set_default_dtype(torch.float32)
    assert_same(snapshot(other), snapshot(plain))


@every_generated_class
def test_the_default_device_changes_no_bit(kind: Optimizer) -> None:
    plain, other = (kind(new_groups(new_parameters(kind))) for _ in range(2))
    advance(plain, [0])
    set_gradients([each for group in other.param_groups for each in group["params"]], 0)
    with torch.device("meta"):
        other.step()
    assert_same(snapshot(other), snapshot(plain))


@every_generated_class
def test_optimizers_of_one_parameter_step_within_backward(kind: Optimizer) -> None:
    """Gradients are stepped and dropped as they arrive."""
    parameters, others = new_parameters(kind), new_parameters(kind)
    for route, members in parameters.items():
        for parameter in members:
            optimizer = kind([{"params": [parameter], "route": route}])

            def step(tensor: Tensor, own: torch.optim.Optimizer = optimizer) -> None:
                own.step()
                own.zero_grad()

            parameter.register_post_accumulate_grad_hook(step)
    torch.stack([each.square().sum() for each in flat(parameters)]).sum().backward()
    together = kind(new_groups(others))
    torch.stack([each.square().sum() for each in flat(others)]).sum().backward()
    together.step()
    assert all(parameter.grad is None for parameter in flat(parameters))
    assert_same([each.detach() for each in flat(parameters)], [each.detach() for each in flat(others)])


@every_class_costly
def test_fifty_steps_leave_no_tensors_behind(kind: Optimizer) -> None:
    optimizer = kind(new_groups(new_parameters(kind)))

    def live_tensors() -> int:
        gc.collect()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return sum(isinstance(each, Tensor) for each in gc.get_objects())

    advance(optimizer, range(2))
    before = live_tensors()
    advance(optimizer, range(50))
    assert live_tensors() == before
