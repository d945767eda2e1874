"""What is refused: parameters that no step can take, tensors that are not what they were when they were added, and
gradients that nobody meant. Nothing is changed before all of it is checked.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from muondsl.runtime.views import View

if TYPE_CHECKING:
    from muondsl.runtime.optimizer import SpecOptimizer


@dataclass(frozen=True, slots=True)
class Added:
    """How a parameter was when it was added to its group: the view by which its route sees it, and whether it asked
    autograd for a gradient.
    """

    view: View
    required_grad: bool


def check_parameter(name: str, parameter: Tensor) -> None:
    """Raises TypeError or RuntimeError for a parameter that the class of that name can never step."""
    if not (parameter.is_floating_point() or torch.is_complex(parameter)):
        raise TypeError(f"{name} only supports floating-point parameters but got: {parameter.dtype}")
    if torch.is_complex(parameter):
        raise RuntimeError(f"{name} does not support complex parameters")
    _check_whole(name, parameter)


def _check_whole(name: str, parameter: Tensor) -> None:
    """Wrappers may put shards in the place of parameters that were whole when they were added. FSDP marks both its flat
    parameters and, with use_orig_params, those that are pieces of them.
    """
    if any(hasattr(parameter, mark) for mark in ("placements", "_is_flat_param", "_fsdp_flattened")):
        raise TypeError(f"{name} does not support sharded or flattened parameters: {type(parameter).__name__}")


def without_duplicates(name: str, members: Sequence[Any]) -> list[Any]:
    """The members of a group, tensors with or without names, each tensor once. Warns, as torch does, where one is given
    twice: weights that are tied have one gradient and take one step.
    """
    tensors = [member[1] if isinstance(member, tuple) else member for member in members]
    first = {id(tensor): index for index, tensor in reversed(list(enumerate(tensors)))}
    kept = [member for index, member in enumerate(members) if first[id(tensors[index])] == index]
    if len(kept) < len(members):
        warnings.warn(
            f"{name} got a parameter group with duplicate parameters, {len(members)} of which {len(kept)} are "
            "different: each is stepped once",
            stacklevel=5,
        )
    return kept


def check_step(optimizer: SpecOptimizer) -> None:
    """Raises RuntimeError for a parameter that cannot be stepped as it is now. Warns of groups that are in no schedule
    while others are.
    """
    groups = optimizer.param_groups
    for group in groups:
        for parameter in group["params"]:
            _check_parameter_now(optimizer, group["route"], parameter)
    unscheduled = [str(number) for number, group in enumerate(groups) if "initial_lr" not in group]
    if unscheduled and len(unscheduled) < len(groups):
        warnings.warn(
            f"{type(optimizer).__name__}: a scheduler was made before parameter group {', '.join(unscheduled)} was "
            "added, and may leave its lr alone: make schedulers when all groups are there",
            stacklevel=2,
        )


def _check_parameter_now(optimizer: SpecOptimizer, route: str, parameter: Tensor) -> None:
    name, shape, gradient = type(optimizer).__name__, tuple(parameter.shape), parameter.grad
    if parameter.is_meta:
        raise RuntimeError(
            f"{name} cannot step a parameter of size {shape} on the meta device, which holds no numbers: make the "
            "optimizer when the model has its memory"
        )
    if gradient is None:
        return
    _check_whole(name, parameter)
    _check_gradient(name, gradient)
    added = optimizer.added.get(parameter)
    if added is None and route == "matrix":
        raise RuntimeError(
            f"{name} does not know how to see a matrix of size {shape}, which was put into one of its groups: add it "
            "with add_param_group"
        )
    if added is not None and added.required_grad and not parameter.requires_grad:
        raise RuntimeError(
            f"{name} has a gradient for a parameter of size {shape} that was frozen after it was added: set its grad "
            "to None, as zero_grad() does"
        )
    if parameter.numel() and optimizer.backend.choice(optimizer, route, parameter).backend == "torch":
        check_tensors(optimizer, route, parameter, gradient, optimizer.state.get(parameter, {}))


def _check_gradient(name: str, gradient: Tensor) -> None:
    if gradient.layout != torch.strided:
        raise RuntimeError(f"{name} does not support sparse gradients")
    if not gradient.is_floating_point():
        raise RuntimeError(f"{name} only supports floating-point gradients but got: {gradient.dtype}")


def check_tensors(
    optimizer: SpecOptimizer, route: str, parameter: Tensor, gradient: Tensor, state: Mapping[str, Tensor]
) -> None:
    """Raises RuntimeError for a gradient, or a state that is there, which is not as the parameter is. Kernels would
    read it by its address, and torch may broadcast it.
    """
    try:
        matrices = optimizer.matrices_of(route, parameter)
    except ValueError as error:
        shape = tuple(parameter.shape)
        raise RuntimeError(f"a parameter was given the size {shape} behind the optimizer's back: {error}") from None
    wanted = [("gradient", gradient, gradient.dtype, tuple(parameter.shape))]
    wanted += [
        (each.name, state[each.name], each.dtype or parameter.dtype, each.sizes(parameter.shape, matrices))
        for each in optimizer.states_of(route, parameter)
        if each.name in state
    ]
    for name, tensor, dtype, sizes in wanted:
        if (tensor.device, tensor.dtype, tuple(tensor.shape)) != (parameter.device, dtype, sizes):
            raise RuntimeError(
                f"{name} is {tensor.dtype} of size {tuple(tensor.shape)} on {tensor.device}, but should be {dtype} of "
                f"size {sizes} on {parameter.device}: the parameter was moved or converted behind the optimizer's "
                "back. Load the state_dict() into an optimizer made of the parameters as they are now"
            )
