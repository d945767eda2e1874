"""Generated files on disk: written whole or not at all, and never over a file that was not generated."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from muondsl.diagnostics.errors_output import CannotWrite, NotGenerated, StaleOutput
from muondsl.diagnostics.span import Span
from muondsl.diagnostics.spec_error import SpecError
from muondsl.emit.files import GeneratedFile
from muondsl.emit.plan_to_python import FIRST_WORDS


def write(file: GeneratedFile, directory: Path, at: Span) -> Path:
    """Writes the file into `directory`, which is made if need be. Raises SpecError, at the span of the optimizer, when
    that fails; then what stood there before stands there still.
    """
    path = directory / file.name
    try:
        if path.exists() and not _is_generated(path):
            raise SpecError([NotGenerated(at, path.as_posix())])
        directory.mkdir(parents=True, exist_ok=True)
        replace_text(path, file.text)
    except OSError as error:
        raise SpecError([CannotWrite(at, path.as_posix(), error.strerror or str(error))]) from None
    return path


def check_current(file: GeneratedFile, directory: Path, at: Span) -> Path:
    """Raises SpecError when the file in `directory` is not, byte for byte, the generated one."""
    path = directory / file.name
    try:
        found = path.read_bytes()
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
        raise SpecError([StaleOutput(at, path.as_posix(), reason)]) from None
    if found != file.text.encode():
        raise SpecError([StaleOutput(at, path.as_posix(), "is not what the spec yields")])
    return path


def _is_generated(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(len(FIRST_WORDS)) == FIRST_WORDS.encode()


def replace_text(path: Path, text: str) -> None:
    replace_file(path, lambda stream: stream.write(text.encode()))


def replace_file(path: Path, save: Callable[[BinaryIO], object]) -> None:
    """Writes beside the place and moves there, so that no reader ever sees half a file. Links and modes stay."""
    path = path.resolve()
    mode = path.stat().st_mode if path.exists() else 0o644
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            save(stream)
        Path(temporary).chmod(mode & 0o777)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
