"""Whole steps of generated classes in Triton's interpreter, beside the torch path.

Run by `test_batch.py` in a process of its own, because TRITON_INTERPRET counts where kernels are defined.
"""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import Parameter
from torch.utils._python_dispatch import TorchDispatchMode

import muondsl
from muondsl.runtime import SpecOptimizer, backend, programs
from muondsl.runtime.launch import Launch
from muondsl.runtime.step_plan import StepPlan

ROOT = Path(__file__).parents[2]
NAMES = ("moonlight", "nanochat")
HYPERS = {"lr": 0.02, "weight_decay": 0.1}

# Odd, tall, square and wide; one row, one column; sizes that are multiples of 16 and sizes that are not. The large ones
# are iterated product by product, which takes the interpreter long.
MATRICES = ((17, 33), (70, 20), (32, 32), (32, 80))
LARGE = ((129, 65), (64, 64))
THIN = ((1, 7), (7, 1))
OTHERS = ((5,), (), (3, 4, 5), (64, 48), (2, 1100))

Optimizer = type[SpecOptimizer]
Gradient = Callable[[Tensor], Tensor]


@pytest.fixture(params=NAMES)
def kind(request: pytest.FixtureRequest) -> Optimizer:
    return loaded(request.param)


def loaded(name: str, precision: Any = "fp32") -> Optimizer:
    return muondsl.load(ROOT / "specs" / f"{name}.muon", precision=precision)


def random(shape: Sequence[int], seed: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(tuple(shape), generator=torch.Generator().manual_seed(seed)).to(dtype)


class Run:
    """An optimizer with parameters on both routes, whose gradients depend on shape and step alone."""

    def __init__(
        self,
        kind: Optimizer,
        backend: Any,
        matrices: Sequence[Sequence[int]] = MATRICES,
        others: Sequence[Sequence[int]] = OTHERS,
        dtype: torch.dtype = torch.float32,
        **options: Any,
    ) -> None:
        shapes = [*matrices, *others]
        self.parameters = [Parameter(0.05 * random(shape, 10 + sum(shape), dtype)) for shape in shapes]
        self.start = [parameter.detach().clone() for parameter in self.parameters]
        groups: list[dict[str, Any]] = [
            {"params": self.parameters[: len(matrices)], "route": "matrix"},
            {"params": self.parameters[len(matrices) :], "route": "otherwise"},
        ]
        make: Callable[..., SpecOptimizer] = kind
        groups = [group for group in groups if group["params"]]
        self.optimizer = make(groups, backend=backend, **{**HYPERS, **options})

    def steps(self, count: int, gradient: Gradient = lambda given: given, first: int = 0) -> Run:
        for step in range(first, first + count):
            for parameter in self.parameters:
                shape = tuple(parameter.shape)
                parameter.grad = gradient(random(shape, 1000 * (step + 1) + sum(shape), parameter.dtype))
            self.optimizer.step()
        return self

    def movements(self) -> list[Tensor]:
        return [now.detach() - start for now, start in zip(self.parameters, self.start, strict=True)]

    def states(self) -> list[Tensor]:
        return [
            self.optimizer.state[parameter][name]
            for parameter in self.parameters
            for name in sorted(self.optimizer.state[parameter])
        ]


def distance(found: Tensor, expected: Tensor) -> float:
    norm = float(torch.linalg.vector_norm(expected.double()))
    error = float(torch.linalg.vector_norm(found.double() - expected.double()))
    return error / norm if norm else error


def assert_agree(found: Run, expected: Run, bound: float = 1e-5) -> None:
    """Movements of parameters and states, relative."""
    pairs = [*zip(found.movements(), expected.movements(), strict=True)]
    pairs += zip(found.states(), expected.states(), strict=True)
    assert [(one.dtype, one.shape) for one, _ in pairs] == [(other.dtype, other.shape) for _, other in pairs]
    assert max(distance(one, other) for one, other in pairs) <= bound


def assert_same(found: Sequence[Tensor], expected: Sequence[Tensor]) -> None:
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


def transposed_in_memory(given: Tensor) -> Tensor:
    return given.mT.contiguous().mT if given.ndim == 2 else given


def misaligned(given: Tensor) -> Tensor:
    """The same values from an address that is no multiple of 16."""
    memory = torch.empty(given.numel() + 1, dtype=given.dtype)
    return memory[1:].view(given.shape).copy_(given)


def strided(given: Tensor) -> Tensor:
    """Every other element of a larger tensor."""
    return given.unsqueeze(-1).expand(*given.shape, 2).contiguous()[..., 0]


GRADIENTS = {
    "contiguous": lambda given: given,
    "transposed in memory": transposed_in_memory,
    "misaligned": misaligned,
    "strided": strided,
}


@pytest.mark.parametrize("gradient", GRADIENTS.values(), ids=GRADIENTS)
def test_three_steps_of_both_routes_agree_with_the_torch_path(kind: Optimizer, gradient: Gradient) -> None:
    assert_agree(Run(kind, "triton").steps(3, gradient), Run(kind, "torch").steps(3, gradient))


def test_large_matrices_agree_with_the_torch_path(kind: Optimizer) -> None:
    assert_agree(Run(kind, "triton", LARGE, ()).steps(3), Run(kind, "torch", LARGE, ()).steps(3))


def test_one_row_and_one_column_agree_within_what_the_iteration_magnifies(kind: Optimizer) -> None:
    # Polar Express on a single singular value makes ten times as much of the norm's rounding, on the torch path too.
    assert_agree(
        Run(kind, "triton", THIN, ()).steps(3),
        Run(kind, "torch", THIN, ()).steps(3),
        bound=5e-5,
    )


def test_programs_with_several_tiles_agree(kind: Optimizer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "MOST_PROGRAMS", 1)
    monkeypatch.setattr(programs, "MOST_PARTS", 2)
    monkeypatch.setattr(programs, "MOST_SEGMENTS", 2)
    shapes = {"matrices": ((300, 20), (20, 300)), "others": ((2500,), (64, 64))}
    assert_agree(Run(kind, "triton", **shapes).steps(2), Run(kind, "torch", **shapes).steps(2))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_parameters_of_16_bits_agree_to_their_last_digits(kind: Optimizer, dtype: torch.dtype) -> None:
    # The torch path rounds after every operation, a kernel once; casts to bf16 truncate in the interpreter. AdamW's own
    # path has no eps in fp16, where it rounds to zero.
    others = OTHERS if dtype == torch.bfloat16 else ()
    found, expected = (Run(kind, name, others=others, dtype=dtype).steps(1) for name in ("triton", "torch"))
    for one, other in zip(found.parameters, expected.parameters, strict=True):
        assert distance(one.detach(), other.detach()) <= 2 * torch.finfo(dtype).eps


def test_parameters_of_several_dtypes_share_an_optimizer(kind: Optimizer) -> None:
    both = Run(kind, "triton")
    half = Run(kind, "triton", dtype=torch.bfloat16)
    half.steps(1)
    added = [Parameter(start.clone()) for start in half.start[: len(MATRICES)]]
    both.optimizer.add_param_group({"params": added, "route": "matrix"})
    both.parameters += added
    both.start += half.start[: len(MATRICES)]
    both.steps(1)
    assert_same([each.detach() for each in added], [each.detach() for each in half.parameters[: len(added)]])


def test_other_matrices_in_the_batch_change_no_bit(kind: Optimizer) -> None:
    whole = Run(kind, "triton").steps(2)
    shapes = [(70, 20), (17, 33)]
    some = Run(kind, "triton", shapes, ((64, 48),)).steps(2)
    places = [MATRICES.index((70, 20)), MATRICES.index((17, 33)), len(MATRICES) + OTHERS.index((64, 48))]
    assert_same([whole.parameters[place] for place in places], some.parameters)


def test_a_bound_of_the_workspace_changes_no_bit_and_is_kept(kind: Optimizer) -> None:
    whole = Run(kind, "triton").steps(2)
    bound = 16_000
    split = Run(kind, "triton", workspace=bound).steps(2)
    assert_same(split.parameters, whole.parameters)
    assert_same(split.states(), whole.states())
    plans = [plan for plan, _ in split.optimizer.backend._plans.values() if plan]
    assert max(len(plan.batches) for plan in plans) > 1
    assert all(arena.size <= bound for arena in split.optimizer.backend._arenas.values())


def test_a_matrix_that_needs_more_than_the_bound_is_refused_with_the_size(kind: Optimizer) -> None:
    run = Run(kind, "triton", workspace=1024)
    with pytest.raises(RuntimeError, match=r"a matrix of 17 × 33 needs \d+ bytes of workspace, but workspace is 1024"):
        run.steps(1)
    assert_same(run.parameters, run.start)


def test_hypers_are_live_and_gradients_may_be_missing(kind: Optimizer) -> None:
    runs = [Run(kind, name).steps(1) for name in ("triton", "torch")]
    for run in runs:
        for step, missing in ((1, 0), (2, 5), (3, 0)):
            for group in run.optimizer.param_groups:
                group["lr"] = 0.01 * step
                group["weight_decay"] = 0.2
            for index, parameter in enumerate(run.parameters):
                shape = tuple(parameter.shape)
                parameter.grad = None if index == missing else random(shape, 50 * step + sum(shape))
            run.optimizer.step()
    assert_agree(*runs)


def test_empty_parameters_are_left_alone(kind: Optimizer) -> None:
    run = Run(kind, "triton", ((0, 4), (4, 0), (4, 6)), ((0,), (3,))).steps(1)
    assert [bool(run.optimizer.state[parameter]) for parameter in run.parameters] == [False, False, True, False, True]


@pytest.mark.parametrize("number", [float("inf"), float("nan"), 0.0])
def test_gradients_of_zeros_and_beyond_numbers_yield_what_the_torch_path_yields(kind: Optimizer, number: float) -> None:
    def spoiled(given: Tensor) -> Tensor:
        given = torch.zeros_like(given) if number == 0 else given.clone()
        given.view(-1)[0] = number
        return given

    for shapes, dtype, bound in (
        ({"matrices": ((17, 33), (32, 32)), "others": ()}, torch.float16, 4e-3),
        ({"matrices": (), "others": ((5,), (64, 48))}, torch.float32, 1e-6),
    ):
        found, expected = (Run(kind, name, dtype=dtype, **shapes).steps(2, spoiled) for name in ("triton", "torch"))
        for one, other in zip(found.parameters, expected.parameters, strict=True):
            assert torch.allclose(one, other, rtol=bound, atol=bound, equal_nan=True)


def test_offsets_beyond_32_bits_are_reached(kind: Optimizer) -> None:
    # Pages that are never touched take no memory.
    apart = torch.empty(2**31 + 64, dtype=torch.bfloat16)

    def far(given: Tensor) -> Tensor:
        return apart.as_strided(given.shape, (2**31, 1)).copy_(given)

    shapes = {"matrices": ((2, 33),), "others": (), "dtype": torch.bfloat16}
    near, distant = (Run(kind, "triton", **shapes).steps(1, each) for each in (torch.clone, far))
    assert_same(distant.parameters, near.parameters)
    shapes = {"matrices": (), "others": ((2, 33),), "dtype": torch.bfloat16}
    near, distant = (Run(kind, "triton", **shapes).steps(1, each) for each in (torch.clone, far))
    assert_same(distant.parameters, near.parameters)


class Calls(TorchDispatchMode):
    """The names of all operations that torch is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.namespace == "aten":
            self.names.append(func._schema.name)
        return func(*args, **(kwargs or {}))


@pytest.fixture
def idle_kernels(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Steps in which everything happens but the launches: the interpreter computes with torch."""
    monkeypatch.setattr(Launch, "run", lambda launch: None)
    return


@pytest.mark.usefixtures("idle_kernels")
def test_steps_after_the_first_ask_torch_for_nothing_while_nothing_moves(kind: Optimizer) -> None:
    run = Run(kind, "triton", others=()).steps(1)
    with Calls() as calls:
        run.optimizer.step()
    assert not calls.names


@pytest.mark.usefixtures("idle_kernels")
def test_counting_steps_on_the_host_fills_one_table(kind: Optimizer) -> None:
    run = Run(kind, "triton", ()).steps(1)
    with Calls() as calls:
        run.optimizer.step()
    assert calls.names.count("aten::copy_") == 1
    assert not [name for name in calls.names if "empty" in name or "zeros" in name]


@pytest.mark.usefixtures("idle_kernels")
def test_the_host_reads_nothing_while_a_step_may_be_captured(kind: Optimizer) -> None:
    rate = torch.tensor(0.02)
    run = Run(kind, "triton", capturable=True, lr=rate).steps(2)
    rate.fill_(0.01)
    with Calls() as calls:
        run.optimizer.step()
    assert not [name for name in calls.names if name in ("aten::_local_scalar_dense", "aten::item")]
    assert not [name for name in calls.names if "empty" in name or "zeros" in name]


def test_hypers_and_steps_on_the_device_yield_the_same_bits(kind: Optimizer) -> None:
    host = Run(kind, "triton").steps(3)
    rate = torch.tensor(0.02, dtype=torch.float64)
    device = Run(kind, "triton", capturable=True, lr=rate).steps(3)
    assert_same(device.parameters, host.parameters)
    assert_same(device.states(), host.states())


@pytest.mark.usefixtures("idle_kernels")
def test_one_plan_serves_a_set_of_gradients_wherever_they_lie(kind: Optimizer, monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[StepPlan] = []
    build = StepPlan.build
    monkeypatch.setattr(StepPlan, "build", lambda plan, *given: (built.append(plan), build(plan, *given))[1])
    run = Run(kind, "triton", others=()).steps(3)
    assert len(built) == 1
    run.parameters[0].grad = None
    run.optimizer.step()
    assert len(built) == 2
    run.steps(2)
    assert len(built) == 2


def test_checkpoints_pass_between_backends(kind: Optimizer) -> None:
    expected = Run(kind, "torch").steps(3)
    for first, then in (("triton", "torch"), ("torch", "triton")):
        before, after = Run(kind, first).steps(2), Run(kind, then)
        with torch.no_grad():
            for own, other in zip(after.parameters, before.parameters, strict=True):
                own.copy_(other)
        after.optimizer.load_state_dict(before.optimizer.state_dict())
        after.steps(1, first=2)
        assert_agree(after, expected)


def test_copies_keep_the_options_and_nothing_that_was_derived(kind: Optimizer) -> None:
    run = Run(kind, "triton", workspace=1 << 20, capturable=True).steps(1)
    for other in (copy.deepcopy(run.optimizer), pickle.loads(pickle.dumps(run.optimizer))):
        assert other.backend.options == backend.BackendOptions("triton", capturable=True, workspace=1 << 20)
        assert not other.backend._plans
        parameters = [parameter for group in other.param_groups for parameter in group["params"]]
        for parameter in parameters:
            parameter.grad = random(tuple(parameter.shape), 2000 + sum(parameter.shape))
        other.step()
        again = Run(kind, "triton").steps(2)
        assert_same(parameters, again.parameters)


def test_a_gradient_that_no_kernel_can_address_is_refused_or_left_to_torch(
    kind: Optimizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes = {"matrices": (), "others": ((3, 4, 3), (5,))}
    expected = Run(kind, "torch", **shapes)
    run = Run(kind, "triton", **shapes)
    for each in (run, expected):
        each.parameters[0].grad = random((3, 4, 5), 1).permute(0, 2, 1).contiguous().permute(0, 2, 1)[:, :, :3]
        each.parameters[1].grad = random((5,), 2)
    with pytest.raises(RuntimeError, match=r"size \(3, 4, 3\) with a gradient of strides .* two dimensions"):
        run.optimizer.step()
    assert_same(run.parameters, run.start)
    automatic = Run(kind, "auto", **shapes)
    monkeypatch.setattr(backend, "_obstacle", lambda *_, **__: None)
    for own, other in zip(automatic.parameters, expected.parameters, strict=True):
        own.grad = other.grad
    automatic.optimizer.step()
    expected.optimizer.step()
    assert_agree(automatic, expected)
    text = automatic.optimizer.describe()
    assert "1 parameter, torch (their gradients do not lie in two dimensions)" in text
    assert "1 parameter, triton" in text


def test_a_description_lists_shapes_forms_and_launches(kind: Optimizer) -> None:
    run = Run(kind, "triton")
    text = run.optimizer.describe()
    run.steps(1)
    assert text == run.optimizer.describe()
    assert "matrix, cpu, float32: 4 parameters, triton (interpreted on the CPU)" in text
    assert "1 of 70 × 20  small" in text
    assert "otherwise, cpu, float32: 5 parameters, triton" in text
    (plan,) = {plan for plan, _ in run.optimizer.backend._plans.values() if plan and plan.recipe.is_matrix}
    # Odd sizes take launches of their own, which stand-ins take too: descriptions are of the launches that run.
    for launch in (launch for batch, _ in plan.batches for launch in batch.launches):
        assert f"    {launch.name}: {launch.grid} programs" in text
