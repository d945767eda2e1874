"""The words of a generated file: docstrings of the module and the class, and how defaults and stages are written."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from muondsl.emit.mathematics import mathematics
from muondsl.emit.python_scalar import to_python
from muondsl.ir import program as ir
from muondsl.ir import scalar as sc

if TYPE_CHECKING:
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
    for name, default in spec.overrides:
        meaning = f"`{name}` of parameters that are not matrices (default: {default_text(default)})"
        lines.append(f"    otherwise_{name} (float, optional): {meaning}")
    lines.append("    options: how a step runs and how parameters are seen, see `muondsl.runtime.Options`")
    return "\n".join(lines)
