"""What figures depend on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch


def machine() -> dict[str, Any]:
    found: Mapping[str, Any] = torch.cpu.get_capabilities()
    units = [name for name in ("amx_bf16", "avx512_bf16", "avx512_f", "avx2", "bf16") if found.get(name)]
    return {
        "processor": found["cpu_name"],
        "units": units,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
