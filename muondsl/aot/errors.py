"""What stops a compilation ahead of time, in words for the command line."""

from __future__ import annotations


class AheadOfTimeError(RuntimeError):
    """Something cannot be compiled, inspected or measured, and the message says how to go on."""


class UnknownTargetError(AheadOfTimeError):
    """A target is none of those whose figures are known."""


class TritonUnavailableError(AheadOfTimeError):
    """Kernels cannot be compiled in this process: Triton is missing, or its interpreter has replaced the compiler."""


class CompilationFailedError(AheadOfTimeError):
    """Triton or the assembler refused a kernel."""


class NoDeviceError(AheadOfTimeError):
    """Tuning measures on a device, and there is none."""
