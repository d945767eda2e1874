"""M09xx: what is allowed and costs much. A spec with warnings alone is compiled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from muondsl.diagnostics.diagnostic import Diagnostic, Severity


@dataclass(frozen=True)
class CostlyFunction(Diagnostic):
    """`svd` yields exact singular vectors and values, by a method that works off one column after the other: it takes
    many times as long as the products of an iteration, the more so on a GPU, and nothing can share its launch. Where
    singular values near one will do, use an iteration such as `polar_express`.
    """

    code: ClassVar[str] = "M0901"
    severity: ClassVar[Severity] = "warning"
    function: str

    def message(self) -> str:
        return f"`{self.function}` takes many times as long as an iteration of products"

    def label(self) -> str:
        return "once for every matrix in every step"

    def helps(self) -> tuple[str, ...]:
        return ("`newton_schulz`, `polar_express` and `inverse_root` come near the polar factor by products alone",)
