"""Devices as a roofline sees them: arithmetic and memory at their peaks, from their makers' datasheets.

Matrix figures are without sparsity. Products of fp32 run on the units that all other fp32 arithmetic runs on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from muondsl.cost.errors import UnknownDeviceError
from muondsl.runtime.tiles import Architecture

Format = Literal["bf16", "fp16", "fp32"]

LAUNCH_SECONDS = 4e-6
"""An assumption: the shortest time from one launch to the next in a stream. About what NVIDIA's "Getting Started with
CUDA Graphs" finds for short kernels that a C++ host launches in a row, 3.8 µs; an interpreter of Python takes longer.
"""


@dataclass(frozen=True, slots=True)
class Device:
    """`peaks` are FLOP/s of products by the format of their operands, `bandwidth` bytes/s of the device's memory."""

    name: str
    product: str
    architecture: Architecture
    peaks: Mapping[Format, float]
    bandwidth: float
    source: str


def _device(
    name: str, product: str, architecture: Architecture, tflops: float, single: float, gigabytes: float, source: str
) -> Device:
    """bf16 and fp16 have the same peak on all of them."""
    peaks: dict[Format, float] = {"bf16": tflops * 1e12, "fp16": tflops * 1e12, "fp32": single * 1e12}
    return Device(name, product, architecture, peaks, gigabytes * 1e9, source)


DEVICES = {
    device.name: device
    for device in (
        _device(
            *("a100", "NVIDIA A100 80GB SXM", "sm_80", 312.0, 19.5, 2039.0),
            source="NVIDIA A100 Tensor Core GPU datasheet (A100 80GB SXM)",
        ),
        _device(
            *("h100", "NVIDIA H100 SXM", "sm_90", 989.4, 66.9, 3350.0),
            source="NVIDIA H100 Tensor Core GPU datasheet and architecture whitepaper, table 2 (H100 SXM5)",
        ),
        _device(
            *("h200", "NVIDIA H200 SXM", "sm_90", 989.4, 66.9, 4800.0),
            source="NVIDIA H200 Tensor Core GPU datasheet (H200 SXM)",
        ),
        _device(
            *("b200", "NVIDIA B200 SXM", "sm_100", 2250.0, 80.0, 8000.0),
            source="NVIDIA Blackwell architecture technical brief, table of HGX B200, half of the sparse figures",
        ),
        _device(
            *("mi300x", "AMD Instinct MI300X", "gfx942", 1307.4, 163.4, 5300.0),
            source="AMD Instinct MI300X accelerator data sheet",
        ),
    )
}


def find_device(name: str) -> Device:
    """The device of a name. Raises UnknownDeviceError with the known ones."""
    if name.lower() in DEVICES:
        return DEVICES[name.lower()]
    close = get_close_matches(name.lower(), DEVICES, 1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    raise UnknownDeviceError(f"there is no device {name!r}{hint}; the known devices are {', '.join(DEVICES)}")
