"""Checkpoints on disk: read without running anything that is in them, written whole or not at all."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch

from muondsl.conversion.finding import ConversionError, Finding
from muondsl.emit.write import replace_file

UNREADABLE = (RuntimeError, ValueError, EOFError, KeyError, IndexError, TypeError, AttributeError)
"""What torch.load raises for a file that is cut off, or is no file of torch's."""


def read_checkpoint(path: Path) -> Any:
    """What torch.save wrote, on the CPU. Raises ConversionError."""
    place = path.as_posix()
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ConversionError([Finding(place, f"it cannot be read: {error.strerror or error}")]) from None
    except pickle.UnpicklingError:
        help = "load it in Python, and give `muondsl.convert` the state_dict in it"
        raise ConversionError([Finding(place, "it is no file of tensors, numbers and texts alone", help)]) from None
    except UNREADABLE as error:
        raise ConversionError([Finding(place, f"it is no file of torch.save: {error}")]) from None


def write_checkpoint(checkpoint: Any, path: Path) -> None:
    """What stood there before stands there still when that fails. Raises ConversionError."""
    try:
        replace_file(path, lambda stream: torch.save(checkpoint, stream))
    except (OSError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConversionError([Finding(path.as_posix(), f"it cannot be written: {reason}")]) from None


def entry_of(saved: Any, entry: str | None) -> Any:
    """The entry of a file that holds more than the optimizer's state. Raises ConversionError where there is none."""
    if entry is None:
        return saved
    if not isinstance(saved, dict) or entry not in saved:
        found = ", ".join(map(str, saved)) if isinstance(saved, dict) else type(saved).__name__
        raise ConversionError([Finding("--entry", f"the checkpoint has no entry {entry!r}, but {found}")])
    return saved[entry]
