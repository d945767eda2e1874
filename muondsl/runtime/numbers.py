"""The numbers that a step takes from its parameter groups, on the device: hypers, what gradients are multiplied by,
whether the step is skipped, which step it is, and what its random bits depend on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from muondsl.runtime.addresses import StepMember
from muondsl.runtime.amp import Scaling, sign_of
from muondsl.runtime.declarations import Hyper
from muondsl.runtime.uploads import Upload

SHARED = 2
"""Numbers in front of those of the groups: 1 / grad_scale, and 1 where the step is skipped."""


class Numbers:
    """`hypers`: fp64, first what all groups share, then for each group its sign of gradients and its hypers. `groups`:
    where in it the numbers of each member's group begin. `step_addresses`: where the number of each member's step is,
    in fp32; None where none is counted. `keys`: for each member the seed, the parameter's number, and the address of
    its step; None without a seed.

    The host writes them only where they have changed and never waits. What is a tensor on the device already is copied
    there, if `capturable`.
    """

    def __init__(
        self,
        members: Sequence[StepMember],
        hypers: Sequence[Hyper],
        *,
        n_groups: int,
        device: torch.device,
        counts_steps: bool,
        capturable: bool,
        seed: int | None = None,
    ) -> None:
        self._declared, self._device, self._capturable = hypers, device, capturable
        self._used = {member.group for member in members}
        width = 1 + sum(hyper.length or 1 for hyper in hypers)
        begins = [SHARED + member.group * width for member in members]
        self.groups = torch.tensor(begins, dtype=torch.int32, device=device)
        size = SHARED + n_groups * width
        self._hypers = Upload(torch.zeros(size, dtype=torch.float64, device="cpu"), device, capturable=capturable)
        self._written: list[float] = []
        self._steps: Upload | None = None
        self._addresses: Upload | None = None
        if counts_steps:
            self._steps = Upload(torch.zeros(len(members), dtype=torch.float32, device="cpu"), device)
            begin = self._steps.tensor.data_ptr()
            self._found = [begin + 4 * index for index in range(len(members))]
            self._addresses = Upload(torch.tensor(self._found, device="cpu"), device, capturable=capturable)
        self._seed = seed
        self._keys: Upload | None = None
        self._keyed: list[tuple[int | None, int, int]] = []
        if seed is not None:
            keys = torch.zeros((len(members), 3), dtype=torch.int64, device="cpu")
            self._keys = Upload(keys, device, capturable=capturable)

    @property
    def hypers(self) -> Tensor:
        return self._hypers.tensor

    @property
    def step_addresses(self) -> Tensor | None:
        return self._addresses.tensor if self._addresses else None

    @property
    def keys(self) -> Tensor | None:
        return self._keys.tensor if self._keys else None

    def refresh(self, members: Sequence[StepMember], groups: Sequence[Mapping[str, Any]], scaling: Scaling) -> None:
        """Writes what has changed; the steps are counted already."""
        self._refresh_hypers(groups, scaling)
        if self._steps and self._addresses:
            steps = [member.state["step"] for member in members]
            if self._capturable:
                found = [step.data_ptr() for step in steps]
                self._addresses.write(lambda: torch.tensor(found, device="cpu"), is_changed=found != self._found)
                self._found = found
            else:
                self._steps.write(
                    lambda: torch.tensor([float(step) for step in steps], dtype=torch.float32, device="cpu")
                )

        if self._keys:
            numbers = numbers_of(groups)
            pairs = zip(members, self._found, strict=True)
            keyed = [(self._seed, numbers[id(member.parameter)], address) for member, address in pairs]
            self._keys.write(lambda: torch.tensor(keyed, device="cpu"), is_changed=keyed != self._keyed)
            self._keyed = keyed

    def _refresh_hypers(self, groups: Sequence[Mapping[str, Any]], scaling: Scaling) -> None:
        values: list[float] = []
        on_device: list[tuple[int, Tensor]] = []
        for shared in (scaling.inverse, scaling.skipped):
            if isinstance(shared, Tensor):
                on_device.append((len(values), shared))
            values.append(0.0 if isinstance(shared, Tensor) else shared)
        for number, group in enumerate(groups):
            values.append(sign_of(group))
            for value in self._flat(group):
                if self._capturable and isinstance(value, Tensor) and value.device == self._device:
                    on_device.append((len(values), value))
                    values.append(0.0)
                else:
                    values.append(float(value) if number in self._used else 0.0)
        self._hypers.write(
            lambda: torch.tensor(values, dtype=torch.float64, device="cpu"), is_changed=values != self._written
        )
        self._written = values
        for place, tensor in on_device:
            self.hypers[place : place + 1].copy_(tensor.detach().view(1))

    def _flat(self, group: Mapping[str, Any]) -> Iterator[Any]:
        """The hypers of a group one by one, as kernels count them."""
        for hyper in self._declared:
            value = group[hyper.name]
            yield from (value if hyper.length is not None else (value,))


def numbers_of(groups: Sequence[Mapping[str, Any]]) -> dict[int, int]:
    """The numbers of the parameters, by their identities, as `state_dict` counts them."""
    parameters = [parameter for group in groups for parameter in group["params"]]
    return {id(parameter): number for number, parameter in enumerate(parameters)}
