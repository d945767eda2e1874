"""What a generated class takes by keyword beside hypers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict

from muondsl.runtime.backend import BackendName


class Options(TypedDict, total=False):
    """How a step runs, how parameters are seen, and in which formats they are kept.

    `backend`: `triton`, `torch`, or `auto`, the default, which is Triton for parameters that it can step on a GPU.
    `capturable`: a step may be captured in a CUDA graph; hypers that are tensors stay on the device. `workspace`: no
    more bytes than that are used between the launches of a step or, on a CPU, held by its operations at one time.
    `views`: by name, or glob, of a parameter the logical matrices in it, such as `split(3)`, in place of the views of
    the spec. `roles`: by name, or glob, the role that decides its route, such as `embedding`.

    `maximize`: steps go along the gradient instead of against it; an entry of each group. `master_weights`: parameters
    in bf16 and fp16 have a copy in fp32 among their states, on which steps are computed with all states in fp32, and of
    which they are the rounding. `stochastic_rounding`: a seed; parameters in bf16 are computed in fp32 and rounded up
    or down at random, so that the mean is what was computed. Parameters in fp16 are refused then.

    `fused`, `foreach` and `differentiable` are those of torch's optimizers: `fused=True` is `backend="triton"`, and is
    refused at once where no kernel can step a parameter. The others are refused if they are true, because a step
    already takes all matrices together, and cannot be differentiated.
    """

    backend: BackendName
    fused: bool | None
    foreach: bool | None
    differentiable: bool
    capturable: bool
    workspace: int | None
    views: Mapping[str, str]
    roles: Mapping[str, str]
    maximize: bool
    master_weights: bool
    stochastic_rounding: int | None


def backend_of(
    name: str, backend: BackendName, fused: bool | None, foreach: bool | None, *, differentiable: bool
) -> BackendName:
    """The backend, with what `fused` says of it. Raises RuntimeError for options that the class of that name does not
    have or that contradict each other.
    """
    if fused and foreach:
        raise RuntimeError("`fused` and `foreach` cannot both be True")
    if foreach:
        raise RuntimeError(
            f"{name} does not support foreach=True: its kernels take all matrices together, and its torch path one "
            "after the other; see backend"
        )
    if differentiable:
        raise RuntimeError(f"{name} does not support differentiable=True: a step changes parameters in place")
    if fused and backend == "torch":
        raise RuntimeError("`fused=True` means backend='triton', but backend='torch' is given")
    return "triton" if fused else backend
