"""A comparison as data for JSON."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from muondsl.compare.finding import Comparison


def to_data(comparison: Comparison) -> dict[str, Any]:
    """Numbers that JSON has no form for are texts: `inf`, `-inf`, `nan`."""
    data: dict[str, Any] = {"same": comparison.is_same, **asdict(comparison)}
    return {name: _plain(value) for name, value in data.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
