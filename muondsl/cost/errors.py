"""What keeps a cost from being estimated, in words for the command line."""

from __future__ import annotations


class CostError(RuntimeError):
    """There is no estimate, and the message says why and how to go on."""


class UnknownDeviceError(CostError):
    """A device is none of those whose figures are known."""


class MalformedShapesError(CostError):
    """A file of shapes cannot be read; the message begins with its path and line."""
