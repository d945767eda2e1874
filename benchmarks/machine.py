"""What figures depend on."""

from __future__ import annotations

from typing import Any

import torch

from muondsl.runtime.processor import processor_name


def machine() -> dict[str, Any]:
    return {"processor": processor_name(), "threads": torch.get_num_threads(), "torch": torch.__version__}
