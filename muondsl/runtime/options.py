"""What a generated class takes by keyword beside hypers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict

from muondsl.runtime.backend import BackendName


class Options(TypedDict, total=False):
    """How a step runs, how parameters are seen, and in which formats they are kept.

    `backend`: `triton`, `torch`, or `auto`, the default, which is Triton for parameters that it can step on a GPU.
    `capturable`: a step may be captured in a CUDA graph; hypers that are tensors stay on the device. `workspace`: no
    more bytes than that are used between the launches of a step. `views`: by name, or glob, of a parameter the
    logical matrices in it, such as `split(3)`, in place of the views of the spec. `roles`: by name, or glob, the
    role that decides its route, such as `embedding`.

    `maximize`: steps go along the gradient instead of against it; an entry of each group. `master_weights`: parameters
    in bf16 and fp16 have a copy in fp32 among their states, on which steps are computed with all states in fp32, and of
    which they are the rounding. `stochastic_rounding`: a seed; parameters in bf16 are computed in fp32 and rounded up
    or down at random, so that the mean is what was computed. Parameters in fp16 are refused then.
    """

    backend: BackendName
    capturable: bool
    workspace: int | None
    views: Mapping[str, str]
    roles: Mapping[str, str]
    maximize: bool
    master_weights: bool
    stochastic_rounding: int | None
