"""What a generated class takes by keyword beside hypers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict

from muondsl.runtime.backend import BackendName


class Options(TypedDict, total=False):
    """How a step runs, and how parameters are seen; none of it changes what a step computes for a matrix.

    `backend`: `triton`, `torch`, or `auto`, the default, which is Triton for parameters that it can step on a GPU.
    `capturable`: a step may be captured in a CUDA graph; hypers that are tensors stay on the device. `workspace`: no
    more bytes than that are used between the launches of a step. `views`: by name, or glob, of a parameter the
    logical matrices in it, such as `split(3)`, in place of the views of the spec. `roles`: by name, or glob, the
    role that decides its route, such as `embedding`.
    """

    backend: BackendName
    capturable: bool
    workspace: int | None
    views: Mapping[str, str]
    roles: Mapping[str, str]
