"""Which parameters Triton's kernels step and which the torch path does, and the plans by which kernels step them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import torch
from torch import Tensor

from muondsl.runtime.addresses import StepMember, matrix_blocks, member_fold, table_names
from muondsl.runtime.amp import Scaling, gradient_dtype
from muondsl.runtime.checks import check_tensors
from muondsl.runtime.step_plan import Recipe, StepPlan
from muondsl.runtime.triton_language import HAS_TRITON, jit
from muondsl.runtime.workspace import Arena

if TYPE_CHECKING:
    from muondsl.runtime.optimizer import SpecOptimizer

BackendName = Literal["auto", "triton", "torch"]

KERNEL_DTYPES = (torch.bfloat16, torch.float16, torch.float32)
OLDEST_CAPABILITY = (8, 0)
MOST_PLANS = 32
"""Plans that are kept for sets of parameters with gradients; of more, the one used longest ago is made anew."""


@jit
def _probe() -> None:
    """Is compiled or interpreted, as all kernels are."""


IS_INTERPRETING = type(_probe).__name__ == "InterpretedFunction"
"""Whether kernels run in Triton's interpreter, on CPU tensors. Decided by TRITON_INTERPRET where they are defined."""


@dataclass(frozen=True, slots=True)
class BackendOptions:
    """What an optimizer's constructor says of how it steps."""

    backend: BackendName = "auto"
    capturable: bool = False
    workspace: int | None = None

    def check(self, name: str, *, has_launches: bool) -> None:
        """Raises ValueError for what is no option, RuntimeError for what this installation or class cannot do."""
        if self.backend not in get_args(BackendName):
            raise ValueError(f"backend should be one of {get_args(BackendName)} but is: {self.backend!r}")
        if self.workspace is not None and self.workspace <= 0:
            raise ValueError(f"workspace should be a positive number of bytes but is: {self.workspace}")
        if self.backend == "triton" and not has_launches:
            raise RuntimeError(f"{name} has no Triton form in its precision: use backend='torch'")
        if self.backend == "triton" and not HAS_TRITON:
            raise RuntimeError("backend='triton' needs Triton, which is not installed: pip install triton")


@dataclass(frozen=True, slots=True)
class Choice:
    """Triton or torch, and why."""

    backend: Literal["triton", "torch"]
    reason: str


def choose(
    options: BackendOptions,
    *,
    has_launches: bool,
    device: torch.device,
    dtype: torch.dtype,
    gradients: torch.dtype | None = None,
) -> Choice:
    """The backend of parameters of one route; `gradients` is the dtype of theirs, if not their own. Raises RuntimeError
    where `triton` is demanded and cannot be.
    """
    if options.backend == "torch":
        return Choice("torch", "backend='torch'")
    obstacle = _obstacle(options, has_launches=has_launches, device=device, dtype=dtype)
    if obstacle is None and gradients is not None and gradients not in KERNEL_DTYPES:
        obstacle = f"kernels read no gradients in {str(gradients).removeprefix('torch.')}"
    if obstacle is None:
        return Choice("triton", "interpreted on the CPU" if IS_INTERPRETING else architecture_of(device))
    if options.backend == "triton":
        raise RuntimeError(f"backend='triton' cannot step parameters of {dtype} on {device}: {obstacle}")
    return Choice("torch", obstacle)


def _obstacle(options: BackendOptions, *, has_launches: bool, device: torch.device, dtype: torch.dtype) -> str | None:
    if not HAS_TRITON:
        return "Triton is not installed"
    if not has_launches:
        return "the route has no Triton form in this precision"
    if dtype not in KERNEL_DTYPES:
        return f"kernels compute in fp32, which does not hold {str(dtype).removeprefix('torch.')}"
    if device.type == "cpu" and options.backend == "triton" and IS_INTERPRETING:
        return None
    if device.type == "cpu" and options.backend == "triton":
        return "on the CPU they run in Triton's interpreter alone: set TRITON_INTERPRET=1 before the first import"
    if device.type == "cuda" and IS_INTERPRETING:
        return "TRITON_INTERPRET is set, and the interpreter runs on the CPU"
    if device.type == "cuda" and not torch.version.hip and torch.cuda.get_device_capability(device) < OLDEST_CAPABILITY:
        return "the device is older than sm_80"
    return None if device.type == "cuda" else f"no kernels run on {device.type}"


def architecture_of(device: torch.device) -> str:
    """The device's name as compilers have it; that of a common one for the interpreter."""
    if device.type != "cuda":
        return "sm_90"
    properties = torch.cuda.get_device_properties(device)
    if torch.version.hip:
        return str(properties.gcnArchName).split(":")[0]
    return f"sm_{properties.major}{properties.minor}"


Bucket = tuple[str, torch.device, torch.dtype, torch.dtype]
"""Route, device, dtype, dtype of gradients: what is stepped together."""

Numbered = list[tuple[int, Tensor]]
"""Parameters with the numbers of their groups."""


class Backend:
    """Steps the parameters of an optimizer that Triton takes, and says which it leaves.

    Plans are kept for the sets of parameters that have had gradients, one arena a device, and for the torch path the
    bytes that kinds of parameters have needed. All of it can be made anew at any time: nothing here is state of the
    optimizer.
    """

    def __init__(self, options: BackendOptions) -> None:
        self.options = options
        self._choices: dict[Bucket, Choice] = {}
        self._plans: OrderedDict[Any, tuple[StepPlan | None, frozenset[int]]] = OrderedDict()
        self._arenas: dict[torch.device, Arena] = {}
        self._captured: list[tuple[StepPlan, object, Arena]] = []
        self.needed: dict[object, int] = {}

    def choice(self, optimizer: SpecOptimizer, route: str, parameter: Tensor) -> Choice:
        bucket = (route, parameter.device, parameter.dtype, gradient_dtype(parameter))
        if bucket not in self._choices:
            self._choices[bucket] = choose(
                self.options,
                has_launches=route in optimizer.launches,
                device=parameter.device,
                dtype=parameter.dtype,
                gradients=bucket[-1],
            )
        return self._choices[bucket]

    def _divided(self, optimizer: SpecOptimizer) -> tuple[dict[Bucket, Numbered], Numbered]:
        """Parameters with gradients and the numbers of their groups: those of Triton by bucket, and those of torch."""
        others: Numbered = []
        buckets: dict[Bucket, Numbered] = {}
        for number, group in enumerate(optimizer.param_groups):
            route = group["route"]
            for parameter in group["params"]:
                if parameter.grad is not None and parameter.numel():
                    bucket = (route, parameter.device, parameter.dtype, parameter.grad.dtype)
                    found = buckets.get(bucket)
                    if found is None:
                        is_torch = self.choice(optimizer, route, parameter).backend == "torch"
                        found = buckets[bucket] = others if is_torch else []
                    found.append((number, parameter))
        return {bucket: found for bucket, found in buckets.items() if found is not others}, others

    def step(self, optimizer: SpecOptimizer, scaling: Scaling) -> Numbered:
        """Steps what Triton steps. Returns the other parameters, with the numbers of their groups. Unless `scaling` is
        read, every state exists.
        """
        self.check_warmed_up(optimizer)
        buckets, others = self._divided(optimizer)
        ready: list[tuple[Bucket, StepPlan, list[StepMember]]] = []
        factors = [scaling.factor(group) if scaling.is_read else 1.0 for group in optimizer.param_groups]
        for bucket, found in buckets.items():
            route = bucket[0]
            names = table_names(optimizer.precision.table_states(optimizer.states[route], bucket[2]))
            members: list[StepMember] = []
            for pair in found:
                made = self._members(optimizer, route, names, *pair, factors[pair[0]])
                members += made
                if not made:
                    others.append(pair)
            plan, left = self._plan(optimizer, bucket, members) if members else (None, frozenset())
            if left:
                others += [(member.group, member.parameter) for index, member in enumerate(members) if index in left]
                members = [member for index, member in enumerate(members) if index not in left]
            if plan is not None:
                ready.append((bucket, plan, members))
        self._check_capture(optimizer, others, is_ready=all(plan.arena is not None for _, plan, _ in ready))
        self._reserve(ready)
        for (_, device, *_), plan, members in ready:
            if plan.arena is not self._arenas[device]:
                plan.build(members, device, self._arenas[device])
            with torch.cuda.device(device) if device.type == "cuda" else nullcontext():
                plan.run(members, optimizer.param_groups, scaling)
                if _is_capturing():
                    # The graph has their addresses, whatever is planned or asked for later.
                    self._captured.append((plan, plan.batches, self._arenas[device]))
            _mark_changed(members)
        return others

    def _members(
        self, optimizer: SpecOptimizer, route: str, names: Sequence[str], number: int, parameter: Tensor, factor: float
    ) -> list[StepMember]:
        """The matrices of a parameter, or the parameter; none where kernels cannot address them."""
        gradient = parameter.grad
        assert gradient is not None
        made = optimizer.ready_state(route, parameter, gradient, factor)
        state = optimizer.precision.table_state(made, parameter)
        view = optimizer.view_of(parameter)
        if not view.steps:
            return [StepMember(names, parameter, gradient, state, number)]
        states = optimizer.precision.table_states(optimizer.states[route], parameter.dtype)
        found = matrix_blocks(view, states, (parameter, gradient, *[state[name] for name in names[2:]]))
        if found is None and self.options.backend == "triton":
            raise RuntimeError(
                f"backend='triton' cannot step a parameter of size {tuple(parameter.shape)}: in its memory or that of "
                f"its gradient {str(view)!r} is no view; make both contiguous or use backend='auto'"
            )
        return [
            StepMember(names, parameter, gradient, state, number, blocks, index)
            for index, blocks in enumerate(found or ())
        ]

    def _plan(
        self, optimizer: SpecOptimizer, bucket: Bucket, members: Sequence[StepMember]
    ) -> tuple[StepPlan | None, frozenset[int]]:
        """The plan for these members as they lie in memory, and which of them no kernel can address."""
        route, device, dtype, _ = bucket
        key = (bucket, len(optimizer.param_groups), tuple([member.layout() for member in members]))
        if key not in self._plans:
            for member in members:
                check_tensors(optimizer, route, member.parameter, member.gradient, member.state)
            left = self._unaddressable(optimizer, route, members)
            kept = [member for index, member in enumerate(members) if index not in left]
            recipe = Recipe.of(
                optimizer,
                route,
                architecture_of(device),
                dtype=dtype,
                precision=optimizer.precision,
                n_groups=len(optimizer.param_groups),
                capturable=self.options.capturable,
            )
            plan = StepPlan(recipe, kept, self.options.workspace) if kept else None
            self._plans[key] = (plan, left)
            if len(self._plans) > MOST_PLANS:
                self._plans.popitem(last=False)
        self._plans.move_to_end(key)
        return self._plans[key]

    def _unaddressable(self, optimizer: SpecOptimizer, route: str, members: Sequence[StepMember]) -> frozenset[int]:
        if route == "matrix":
            return frozenset()
        states = optimizer.precision.table_states(optimizer.states[route], members[0].parameter.dtype)
        left = [index for index, member in enumerate(members) if member_fold(member, states) is None]
        if left and self.options.backend == "triton":
            member = members[left[0]]
            raise RuntimeError(
                f"backend='triton' cannot step a parameter of size {tuple(member.parameter.shape)} with a gradient of "
                f"strides {member.gradient.stride()}: its tensors do not lie in two dimensions; make the gradient "
                "contiguous or use backend='auto'"
            )
        return frozenset(left)

    def check_warmed_up(self, optimizer: SpecOptimizer) -> None:
        """Raises RuntimeError where a capture would make states, or hypers that nothing changes any more."""
        if not _is_capturing():
            return
        name = type(optimizer).__name__
        if not self.options.capturable:
            raise RuntimeError(f"{name}.step() is captured in a CUDA graph: construct it with capturable=True")
        if not optimizer.has_all_states():
            raise RuntimeError(
                f"{name}.step() makes its states when it is first called: step once before capturing, and again if "
                "GradScaler skipped that"
            )

    def _check_capture(self, optimizer: SpecOptimizer, others: Numbered, *, is_ready: bool) -> None:
        name = type(optimizer).__name__
        if self.options.capturable and any(parameter.is_cuda for _, parameter in others):
            raise RuntimeError(
                f"{name} with capturable=True steps with Triton alone: see describe() for what it leaves"
            )
        if not is_ready and _is_capturing():
            raise RuntimeError(f"{name}.step() makes its tables when it is first called: step once before capturing")

    def _reserve(self, ready: Sequence[tuple[Bucket, StepPlan, list[StepMember]]]) -> None:
        """One arena a device, large enough for all of its plans. Launches are made for one: a new one ends them."""
        needed: dict[torch.device, int] = {}
        for (_, device, *_), plan, _ in ready:
            needed[device] = max(needed.get(device, 0), plan.needed)
        for device, size in needed.items():
            if device not in self._arenas or self._arenas[device].size < size:
                self._forget(self._arenas.pop(device, None))
                self._arenas[device] = Arena(size, device)

    def _forget(self, arena: Arena | None) -> None:
        """Lets go of an arena, so that its memory is free before a larger one is asked for."""
        for plan, _ in self._plans.values():
            if plan is not None and plan.arena is arena:
                plan.arena, plan.batches = None, []


def _is_capturing() -> bool:
    return torch.cuda.is_available() and torch.cuda.is_current_stream_capturing()


def _mark_changed(members: Sequence[StepMember]) -> None:
    """Tells autograd of what kernels have written, as torch's own operations in place do."""
    for member in members:
        for tensor in (member.parameter, *member.state.values()):
            torch.autograd.graph.increment_version(tensor)


def placed_step(step: Tensor, parameter: Tensor, options: BackendOptions) -> Tensor:
    """The count of steps where it is counted: on the parameter's device if `capturable`, else on the host."""
    device = parameter.device if options.capturable else torch.device("cpu")
    return step if step.device == device else step.to(device)
