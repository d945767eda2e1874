"""Where the tensors of a batch lie: tables of addresses and strides that follow gradients when they move."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from muondsl.runtime.declarations import State
from muondsl.runtime.folding import Fold, fold
from muondsl.runtime.layout import LEADING_ELEMENTS, padded
from muondsl.runtime.uploads import Upload
from muondsl.runtime.views import Block, View, blocks_of

ALIGNED_BYTES = 16
"""The widest load or store of one thread."""


class StepMember:
    """The tensors of one parameter in a step, in the order of `table_names`, and the number of its group. With a block
    for each tensor it is one logical matrix of that parameter, with the number `index`.

    Made for every matrix at every step: what is asked of the tensors is asked once.
    """

    __slots__ = ("addresses", "group", "key", "shape", "sizes", "state", "strides", "tensors")

    def __init__(
        self,
        names: Sequence[str],
        parameter: Tensor,
        gradient: Tensor,
        state: Mapping[str, Tensor],
        group: int,
        blocks: Sequence[Block] = (),
        index: int = 0,
    ) -> None:
        self.tensors = (parameter, gradient, *[state[name] for name in names[2:]])
        self.state, self.group, self.key = state, group, (id(parameter), index)
        self.addresses = [tensor.data_ptr() for tensor in self.tensors]
        if blocks:
            begins = zip(self.addresses, self.tensors, blocks, strict=True)
            self.addresses = [begin + block.offset * tensor.element_size() for begin, tensor, block in begins]
            self.strides = tuple([block.strides for block in blocks])
            self.sizes = tuple([block.sizes for block in blocks])
        else:
            self.strides = tuple([tensor.stride() for tensor in self.tensors])
            self.sizes = tuple([tensor.shape for tensor in self.tensors])
        self.shape = self.sizes[0]

    @property
    def parameter(self) -> Tensor:
        return self.tensors[0]

    @property
    def gradient(self) -> Tensor:
        return self.tensors[1]

    def layout(self) -> tuple[Any, ...]:
        """All that launches depend on but where memory is: a batch is made anew where this changes."""
        aligned = tuple([address % ALIGNED_BYTES == 0 for address in self.addresses])
        return (self.key, self.group, self.shape, self.strides, aligned)


def matrix_blocks(view: View, states: Sequence[State], tensors: Sequence[Tensor]) -> Iterator[tuple[Block, ...]] | None:
    """For each logical matrix its place in each tensor; None where one of them has no strides there."""
    shape = tensors[0].shape
    full = [True, True, *(state.is_full for state in states)]
    found: list[Sequence[Block]] = []
    for tensor, is_full, state in zip(tensors, full, [None, None, *states], strict=True):
        if is_full:
            own = view.blocks(shape, tensor.stride())
        else:
            assert state is not None
            own = _state_blocks(state, view, tuple(shape), tuple(tensor.shape), tensor.stride())
        if own is None:
            return None
        found.append(own)
    return zip(*found, strict=True)


@lru_cache(maxsize=4096)
def _state_blocks(
    state: State, view: View, shape: tuple[int, ...], sizes: tuple[int, ...], strides: tuple[int, ...]
) -> tuple[Block, ...]:
    laid = torch.empty_strided(sizes, strides, device="meta")
    return blocks_of(state.parts(laid, view, view.shapes(shape)))


def table_names(states: Sequence[State]) -> tuple[str, ...]:
    return ("parameter", "gradient", *(state.name for state in states))


def member_fold(member: StepMember, states: Sequence[State]) -> Fold | None:
    """The two dimensions in which kernels see the full-size tensors of a parameter."""
    full = [True, True, *(state.is_full for state in states)]
    return fold([tensor for tensor, is_full in zip(member.tensors, full, strict=True) if is_full])


class AddressTables:
    """A table for each tensor by its name: int64 (members, 3), the address and strides in elements."""

    def __init__(
        self,
        members: Sequence[StepMember],
        states: Sequence[State],
        *,
        is_matrix: bool,
        device: torch.device,
        capturable: bool = False,
    ) -> None:
        self.names = table_names(states)
        self.device = device
        self.shapes: list[tuple[int, int]] = []
        self._aligned: dict[str, list[bool]] = {name: [] for name in self.names}
        self._is_aligned_shape: list[bool] = []
        strides: list[list[tuple[int, int]]] = []
        forms = ["rows, cols", "rows, cols", *(each.shape for each in states)]
        for member in members:
            described = _matrix(member, forms) if is_matrix else _any_shape(member, forms)
            self.shapes.append(described.shape)
            self._is_aligned_shape.append(described.is_aligned)
            strides.append(described.strides)
            for name, address, is_plain in zip(self.names, member.addresses, described.is_plain, strict=True):
                self._aligned[name].append(is_plain and address % ALIGNED_BYTES == 0)
        self.shape_table = torch.tensor(self.shapes, dtype=torch.int64, device=device)
        self._addresses = [address for member in members for address in member.addresses]
        # Tables begin at multiples of 16 bytes, so that one compiled kernel serves any number of members.
        size = (len(self.names), padded(len(members), LEADING_ELEMENTS), 3)
        host = torch.zeros(size, dtype=torch.int64, device="cpu")
        host[:, : len(members), 1:] = torch.tensor(strides, dtype=torch.int64, device="cpu").transpose(0, 1)
        host[:, : len(members), 0] = self._by_name()
        self._host = host
        self._tables = Upload(host, device, capturable=capturable)

    def __getitem__(self, name: str) -> Tensor:
        return self._tables.tensor[self.names.index(name)]

    def aligned(self, names: Sequence[str]) -> list[bool]:
        """For each member whether all its tensors of these names can be read 16 bytes at a time."""
        own = [self._aligned[name] for name in names if name in self._aligned]
        return [is_aligned and all(flags) for is_aligned, *flags in zip(self._is_aligned_shape, *own, strict=True)]

    def refresh(self, members: Sequence[StepMember]) -> None:
        """Writes the addresses again where one has changed; the host does not wait."""
        addresses = [address for member in members for address in member.addresses]
        is_changed = addresses != self._addresses
        if is_changed:
            self._addresses = addresses
            self._host[:, : len(members), 0] = self._by_name()
        self._tables.write(lambda: self._host, is_changed=is_changed)

    def _by_name(self) -> Tensor:
        return torch.tensor(self._addresses, dtype=torch.int64, device="cpu").view(-1, len(self.names)).t()


@dataclass(frozen=True, slots=True)
class _Described:
    """Sizes, whether both are multiples of 16 (or their product is), and for each tensor how kernels step through it.

    `is_plain`: its elements lie side by side, as aligned kernels expect.
    """

    shape: tuple[int, int]
    is_aligned: bool
    strides: list[tuple[int, int]]
    is_plain: list[bool]


def _matrix(member: StepMember, forms: Sequence[str]) -> _Described:
    rows, cols = member.shape
    strides, is_plain = [], []
    for sizes, (down, across), form in zip(member.sizes, member.strides, forms, strict=True):
        if form == "rows, cols":
            strides.append((down, across))
            is_plain.append((down, across) == (cols, 1))
        elif form == "1, 1":
            strides.append((1, 1))
            is_plain.append(True)
        else:
            strides.append((down if sizes[0] > 1 else across, 1))
            is_plain.append(strides[-1] == (1, 1))
    return _Described((rows, cols), rows % 16 == 0 and cols % 16 == 0, strides, is_plain)


def _any_shape(member: StepMember, forms: Sequence[str]) -> _Described:
    full = [form == "rows, cols" for form in forms]
    found = fold([tensor for tensor, is_full in zip(member.tensors, full, strict=True) if is_full])
    if found is None:
        shape = tuple(member.parameter.shape)
        raise AssertionError(f"the tensors of a parameter of size {shape} have no two dimensions")
    own = iter(found.strides)
    strides = [next(own) if is_full else (1, 1) for is_full in full]
    is_plain = [found.is_dense or not is_full for is_full in full]
    return _Described((found.rows, found.cols), found.rows * found.cols % 16 == 0, strides, is_plain)
