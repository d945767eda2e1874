"""Who writes and reads checkpoints: three systems that have names, generated classes by their specs, and nanochat's
layout with a spec that says what its buffers hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from muondsl.conversion import layout_of_keras, layout_of_nanochat, layout_of_torch
from muondsl.conversion.finding import ConversionError, Finding
from muondsl.conversion.layout import Layout
from muondsl.conversion.layout_of_keras import LayoutOfKeras
from muondsl.conversion.layout_of_nanochat import LayoutOfNanochat
from muondsl.conversion.layout_of_specs import LayoutOfSpecs
from muondsl.conversion.layout_of_torch import LayoutOfTorch
from muondsl.conversion.meaning import read_meaning
from muondsl.diagnostics.diagnostic import closest

NAMED: dict[str, tuple[type[Layout], str]] = {
    layout_of_torch.NAME: (LayoutOfTorch, layout_of_torch.MEANING),
    layout_of_keras.NAME: (LayoutOfKeras, layout_of_keras.MEANING),
    layout_of_nanochat.NAME: (LayoutOfNanochat, layout_of_nanochat.MEANING),
}
PREFIX = "nanochat:"


@dataclass(frozen=True, eq=False)
class System:
    """`title` is what the report calls it."""

    title: str
    layout: Layout


def find_system(name: str | Path) -> System:
    """The system of that name, or of the spec: a path that ends in `.muon`, or text, which has a line end. Raises
    ConversionError for a name that is neither, SpecError for a spec with errors.
    """
    text = str(name)
    if text in NAMED:
        layout, meaning = NAMED[text]
        return System(text, layout(read_meaning(meaning)))
    is_text = isinstance(name, str) and "\n" in name
    spec = text.removeprefix(PREFIX)
    if not is_text and not spec.endswith(".muon"):
        hint = closest(text, NAMED)
        raise ConversionError(
            [
                Finding(
                    f"the system {text!r}",
                    "it is neither a spec, a file that ends in `.muon`, nor one that has a name",
                    f"did you mean `{hint}`?" if hint else f"those with names are {', '.join(NAMED)}",
                )
            ]
        )
    found = read_meaning(spec)
    if spec != text:
        return System(f"nanochat with {found.name}", LayoutOfNanochat(found))
    return System(found.name, LayoutOfSpecs(found))
