"""The words of a generated file: docstrings of the module and the class, and how defaults and stages are written."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from muondsl.check import typed
from muondsl.emit.mathematics import mathematics
from muondsl.emit.python_scalar import to_python
from muondsl.ir import program as ir
from muondsl.ir import scalar as sc

if TYPE_CHECKING:
    from collections.abc import Iterator

    from muondsl.check import CheckedSpec


def docstring(text: str, indent: str = "") -> str:
    """The text between triple quotes: it can neither end them nor escape anything."""
    safe = text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    if safe.endswith('"'):
        safe = safe[:-1] + '\\"'
    return textwrap.indent(safe, indent).strip()


def default_text(default: str | tuple[str, ...]) -> str:
    """The default as written."""
    values = [to_python(sc.Number(value)) for value in (default if isinstance(default, tuple) else (default,))]
    return f"({', '.join(values)})" if isinstance(default, tuple) else values[0]


def module_text(spec: CheckedSpec) -> str:
    """What the file says of itself: the spec's words, the stages, the algorithm, the sources."""
    parts = [spec.docstring.strip() or f"The optimizer {spec.name}.", _arrows(spec)]
    if spec.matrix:
        parts += ["For each matrix θ (r rows, c columns) with gradient g, learning rate η, at step t:"]
        parts += [textwrap.indent("\n".join(mathematics(spec.matrix)), "    ")]
    if spec.otherwise:
        others = "other parameter" if spec.matrix else "parameter θ with gradient g, learning rate η, at step t"
        parts += [f"For every {others}:", textwrap.indent("\n".join(mathematics(spec.otherwise)), "    ")]
    sources = [f"- {source}" for source in spec.citations]
    sources += [f"- {name}: {source}" for name, source in spec.constants]
    if sources:
        parts += ["Sources:\n\n" + "\n".join(sources)]
    return "\n\n".join(part for part in parts if part)


def _arrows(spec: CheckedSpec) -> str:
    """The way through the stages; empty where there is none."""
    if not spec.matrix:
        return ""
    before = [ir.Origin(stage.heading, "").rule for stage in spec.matrix.stages if stage.name != "project"]
    behind = [ir.Origin(stage.heading, "").rule for stage in spec.matrix.stages if stage.name == "project"]
    return " → ".join(["gradient", *before, "apply", *behind]) if before or behind else ""


def hypers_of_otherwise(spec: CheckedSpec) -> Iterator[tuple[typed.Hyper, str | tuple[str, ...] | None]]:
    """The hypers that both routes read, `lr` among them, with the defaults that the spec gives them on `otherwise`."""
    if not (spec.matrix and spec.otherwise):
        return
    overrides = dict(spec.overrides)
    read = [{"lr", *typed.hypers_read(update)} for update in (spec.matrix, spec.otherwise)]
    for hyper in spec.hypers:
        if hyper.name in overrides or all(hyper.name in names for names in read):
            yield hyper, overrides.get(hyper.name)


def class_text(spec: CheckedSpec) -> str:
    first = " ".join((spec.docstring.strip() or f"The optimizer {spec.name}.").split())
    lines = [*textwrap.wrap(first, 112), "", "Args:"]
    lines.append(
        "    params (iterable): parameters or named parameters to optimize, or dicts defining parameter groups"
    )
    for hyper in spec.hypers:
        kind = "tuple of floats" if isinstance(hyper.default, tuple) else "float or Tensor"
        shown = default_text(hyper.default)
        lines.append(f"    {hyper.name} ({kind}, optional): in {hyper.interval} (default: {shown})")
    for hyper, default in hypers_of_otherwise(spec):
        shown = default_text(default) if default is not None else "that of matrices"
        kind = "tuple of floats" if isinstance(hyper.default, tuple) else "float or Tensor"
        meaning = f"`{hyper.name}` on the route `otherwise` (default: {shown})"
        lines.append(f"    otherwise_{hyper.name} ({kind}, optional): {meaning}")
    lines.append("    options: how a step runs and how parameters are seen, see `muondsl.runtime.Options`")
    return "\n".join(lines)
