"""The numbers that a step takes from its parameter groups, on the device: hypers, and which step it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from muondsl.runtime.addresses import StepMember
from muondsl.runtime.declarations import Hyper
from muondsl.runtime.uploads import Upload


class Numbers:
    """`hypers`: fp64, those of one group after the other. `groups`: where in it the hypers of each member begin.
    `step_addresses`: where the number of each member's step is, in fp32; None where none is counted.

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
    ) -> None:
        self._declared, self._device, self._capturable = hypers, device, capturable
        self._used = {member.group for member in members}
        width = sum(hyper.length or 1 for hyper in hypers)
        begins = [member.group * width for member in members]
        self.groups = torch.tensor(begins, dtype=torch.int32, device=device)
        self._hypers = Upload(
            torch.zeros(n_groups * width, dtype=torch.float64, device="cpu"), device, capturable=capturable
        )
        self._written: list[float] = []
        self._steps: Upload | None = None
        self._addresses: Upload | None = None
        if counts_steps:
            self._steps = Upload(torch.zeros(len(members), dtype=torch.float32, device="cpu"), device)
            begin = self._steps.tensor.data_ptr()
            self._found = [begin + 4 * index for index in range(len(members))]
            self._addresses = Upload(torch.tensor(self._found, device="cpu"), device, capturable=capturable)

    @property
    def hypers(self) -> Tensor:
        return self._hypers.tensor

    @property
    def step_addresses(self) -> Tensor | None:
        return self._addresses.tensor if self._addresses else None

    def refresh(self, members: Sequence[StepMember], groups: Sequence[Mapping[str, Any]]) -> None:
        """Writes what has changed; the steps are counted already."""
        self._refresh_hypers(groups)
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

    def _refresh_hypers(self, groups: Sequence[Mapping[str, Any]]) -> None:
        values: list[float] = []
        on_device: list[tuple[int, Tensor]] = []
        for number, group in enumerate(groups):
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
