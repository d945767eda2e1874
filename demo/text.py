"""Gives the bytes that the demo trains on: the Python sources of the running interpreter's standard library.

Nothing is downloaded, and only top-level modules are read, because some distributions leave out the
library's packages (`test`, `idlelib`, `tkinter`). The text differs a little between Python versions.
"""

import dataclasses
import sys
import sysconfig
from pathlib import Path

import torch
from torch import Tensor

# One file in ten is held out. Whole files, so that no held-out line continues a training one.
HELD_OUT_EVERY = 10


@dataclasses.dataclass(frozen=True)
class Corpus:
    """Holds training and held-out text as one-dimensional tensors of byte values."""

    train: Tensor
    held_out: Tensor


def load_corpus() -> Corpus:
    """Returns the standard library's modules in sorted order, every tenth of them held out."""
    paths = standard_library_modules()
    held_out = paths[HELD_OUT_EVERY - 1 :: HELD_OUT_EVERY]
    train = [path for path in paths if path not in held_out]
    return Corpus(train=read_bytes(train), held_out=read_bytes(held_out))


def standard_library_modules() -> list[Path]:
    """Returns the standard library's own top-level modules, without what was installed beside them."""
    folder = Path(sysconfig.get_path("stdlib"))
    paths = sorted(path for path in folder.glob("*.py") if path.stem in sys.stdlib_module_names)
    if len(paths) < HELD_OUT_EVERY:
        raise FileNotFoundError(f"the sources of the standard library are not in {folder}")
    return paths


def read_bytes(paths: list[Path]) -> Tensor:
    """Returns the joined contents of the files, one byte value per element."""
    # bytearray, because torch warns about memory that it may not write to.
    return torch.frombuffer(bytearray(b"".join(path.read_bytes() for path in paths)), dtype=torch.uint8)


def training_windows(text: Tensor, batch_size: int, length: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Returns a batch of inputs at random places of the text, and the bytes that follow each of them."""
    starts = torch.randint(len(text) - length, (batch_size,), generator=generator)
    return windows_at(text, starts, length)


def evenly_spaced_windows(text: Tensor, count: int, length: int) -> tuple[Tensor, Tensor]:
    """Returns inputs and following bytes at places spread over the whole text; always the same ones."""
    starts = torch.arange(count) * (len(text) - length - 1) // (count - 1)
    return windows_at(text, starts, length)


def windows_at(text: Tensor, starts: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """Returns `length` bytes from each start, and the same shifted by one byte."""
    windows = text[starts[:, None] + torch.arange(length + 1)].long()
    return windows[:, :-1], windows[:, 1:]
