"""What a CPU does in how much time: what its units suggest, or what `muondsl tune` has measured, in a file.

    {"format": "muondsl processors 1",
     "processors": [{"name": "Intel Xeon, avx512_f",
                     "products": {"bfloat16": {"flops": 3.1e10, "panel": 0.95}, "float16": …, "float32": …},
                     "bandwidth": 1.3e10, "call": 2.6e-6}, …]}

The environment names the file in MUONDSL_CPU. The entry of the processor that runs is taken; without one, units decide.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch

from muondsl.runtime.json_rows import Row, read_rows, to_file

PROCESSORS_FORMAT = "muondsl processors 1"
PROCESSORS_VARIABLE = "MUONDSL_CPU"

UNITS = {
    torch.bfloat16: ("amx_bf16", "avx512_bf16", "avx10_1", "bf16", "sve_bf16"),
    torch.float16: ("amx_fp16", "avx512_fp16", "avx10_1", "fp16_arith"),
}
"""What multiplies in a format of 16 bits, by torch's names."""

PANEL_ROWS = 128


class MalformedProcessorsError(ValueError):
    """A file of processors cannot be read, or is not what `muondsl tune` writes."""


@dataclass(frozen=True, slots=True)
class ProductRate:
    """Of one thread. `flops`: FLOP/s of a large product; `panel`: what part of that a symmetric product reaches that is
    computed in panels of PANEL_ROWS rows.
    """

    dtype: torch.dtype
    flops: float
    panel: float

    def of_panel(self, rows: int) -> float:
        """What is lost of `flops` falls with the number of rows."""
        return self.flops * (1 - (1 - self.panel) * min(1.0, PANEL_ROWS / rows))


@dataclass(frozen=True, slots=True)
class Processor:
    """`bandwidth`: bytes/s of memory, read and written, of one thread; `call`: seconds that an operation of torch takes
    beside its work.
    """

    name: str
    products: tuple[ProductRate, ...]
    bandwidth: float
    call: float
    is_measured: bool = False

    def rate(self, dtype: torch.dtype) -> ProductRate:
        return next(each for each in self.products if each.dtype == dtype)

    def to_row(self) -> Mapping[str, Any]:
        products = {
            str(each.dtype).removeprefix("torch."): {"flops": each.flops, "panel": each.panel}
            for each in self.products
            if each.dtype in MEASURED_DTYPES
        }
        return {"name": self.name, "products": products, "bandwidth": self.bandwidth, "call": self.call}


MEASURED_DTYPES = (torch.bfloat16, torch.float16, torch.float32)


@cache
def this_processor() -> Processor:
    """The one that runs, read and looked at once."""
    path = os.environ.get(PROCESSORS_VARIABLE)
    known = read_processors(Path(path)) if path else ()
    return next((each for each in known if each.name == processor_name()), None) or usual_processor(_capabilities())


def processor_name() -> str:
    """The processor with those of its units that decide how fast it multiplies, as far as torch says."""
    found = _capabilities()
    units = [unit for unit in (*UNITS[torch.bfloat16], *UNITS[torch.float16], "avx512_f", "avx2") if found.get(unit)]
    return ", ".join([str(found.get("cpu_name") or platform.processor() or platform.machine()), *dict.fromkeys(units)])


def usual_processor(capabilities: Mapping[str, object]) -> Processor:
    """Round figures of server processors in 2026, by whether they multiply in 16 bits."""
    rates = [ProductRate(torch.float32, 1.5e11, 0.85)]
    for dtype, units in UNITS.items():
        has_units = any(capabilities.get(unit) for unit in units)
        rates.append(ProductRate(dtype, 8e11, 0.7) if has_units else ProductRate(dtype, 3e10, 0.95))
    return Processor(processor_name(), with_double(rates), bandwidth=1.2e10, call=2.5e-6)


def read_processors(path: Path) -> tuple[Processor, ...]:
    """Raises MalformedProcessorsError, with file and entry, for what is not as `to_processors_file` writes it."""
    found: dict[str, Processor] = {}
    for row in read_rows(path, PROCESSORS_FORMAT, "processors", MalformedProcessorsError):
        processor = _to_processor(row)
        if processor.name in found:
            raise row.error("an entry before it is for the same processor")
        found[processor.name] = processor
    return tuple(found.values())


def to_processors_file(processors: Iterable[Processor]) -> str:
    return to_file(PROCESSORS_FORMAT, "processors", (each.to_row() for each in processors))


def _to_processor(row: Row) -> Processor:
    row.check_names({"name", "products", "bandwidth", "call"})
    products, rates = row.part("products"), []
    products.check_names({str(dtype).removeprefix("torch.") for dtype in MEASURED_DTYPES})
    for dtype in MEASURED_DTYPES:
        rate = products.part(str(dtype).removeprefix("torch."))
        rate.check_names({"flops", "panel"})
        rates.append(ProductRate(dtype, rate.positive("flops"), min(1.0, rate.positive("panel"))))
    return Processor(
        row.text("name"), with_double(rates), row.positive("bandwidth"), row.positive("call"), is_measured=True
    )


def with_double(rates: Iterable[ProductRate]) -> tuple[ProductRate, ...]:
    """And the rate of fp64: half of that of fp32."""
    known = {rate.dtype: rate for rate in rates}
    single = known[torch.float32]
    return (*known.values(), ProductRate(torch.float64, single.flops / 2, single.panel))


@cache
def _capabilities() -> Mapping[str, object]:
    """What torch finds of the CPU; of versions of torch that do not say, that it has everything."""
    find = getattr(torch.cpu, "get_capabilities", None)
    return dict(find()) if find else {units[0]: True for units in UNITS.values()}
