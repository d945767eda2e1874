"""What specs declare beside stages: hypers, the scale, routes, views, defaults of `otherwise`, checkpoints."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from muondsl.compare.fact import Fact, differences
from muondsl.compare.finding import Finding
from muondsl.compare.probe_values import LATE, NO_VALUE, SHAPES, default_hypers, symbol_values
from muondsl.emit.mathematics import formula
from muondsl.ir import scalar as sc
from muondsl.lower import by_value
from muondsl.runtime.roles import has_role, roles_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from muondsl.check import CheckedSpec, typed

PARAMETERS = (
    ("transformer.wte.weight", (50257, 768)),
    ("transformer.wpe.weight", (1024, 768)),
    ("transformer.h.0.ln_1.weight", (768,)),
    ("transformer.h.0.attn.c_attn.weight", (2304, 768)),
    ("transformer.h.0.attn.c_attn.bias", (2304,)),
    ("transformer.h.0.mlp.c_fc.weight", (3072, 768)),
    ("lm_head.weight", (50257, 768)),
    ("model.embed_tokens.weight", (32000, 4096)),
    ("model.layers.0.self_attn.q_proj.weight", (4096, 4096)),
    ("model.layers.0.mlp.gate_proj.weight", (11008, 4096)),
    ("model.layers.0.mlp.experts.weight", (8, 14336, 4096)),
    ("model.norm.weight", (4096,)),
    ("patch_embed.proj.weight", (768, 3, 16, 16)),
    ("layer1.0.conv1.weight", (64, 64, 3, 3)),
    ("head.weight", (1000, 768)),
    ("logit_scale", ()),
)
"""Parameters as models name them, to show what routes do: GPT-2, Llama, Mixtral, vision transformers, ResNets, CLIP."""


def compare_hypers(a: CheckedSpec, b: CheckedSpec) -> list[Finding]:
    found = differences("hypers", _hypers(a), _hypers(b))
    return found + _order("hypers", *([each.name for each in spec.hypers] for spec in (a, b)))


def _order(stage: str, a: list[str], b: list[str]) -> list[Finding]:
    """A difference of orders alone, which fingerprints hold as well."""
    is_order = sorted(a) == sorted(b) and a != b
    return [Finding(stage, "order", ", ".join(a), ", ".join(b))] if is_order else []


def _hypers(spec: CheckedSpec) -> Iterator[Fact]:
    for hyper in spec.hypers:
        yield Fact(hyper.name, f"{_default(hyper.default)} in {hyper.interval}")


def _default(default: str | tuple[str, ...]) -> str:
    return default if isinstance(default, str) else f"({', '.join(default)})"


def compare_overrides(a: CheckedSpec, b: CheckedSpec) -> list[Finding]:
    """The defaults that `otherwise … with` gives."""
    facts = [[Fact(f"{name} of its groups", _default(value)) for name, value in spec.overrides] for spec in (a, b)]
    found = differences("otherwise", *facts)
    return found + _order("otherwise", *([name for name, _ in spec.overrides] for spec in (a, b)))


def compare_scales(a: CheckedSpec, b: CheckedSpec) -> list[Finding]:
    if by_value(a.of_matrices.scale) == by_value(b.of_matrices.scale):
        return []
    facts = [list(_scale(spec)) for spec in (a, b)]
    return differences("scale", *facts)


def _scale(spec: CheckedSpec) -> Iterator[Fact]:
    """Its value at the defaults, at some shapes; late, and in the first step where that is another."""
    scale = spec.of_matrices.scale
    written = formula(sc.without_names(scale.value if isinstance(scale, sc.Named) else scale))
    is_counted = any(symbol.kind == "step" for symbol in sc.symbols(scale))
    times = {", in the end": LATE, ", step 1": 1} if is_counted else {"": LATE}
    hypers = default_hypers(spec)
    try:
        numbers = [
            (f"{shape[0]} × {shape[1]}{when}", float(sc.evaluate(scale, symbol_values(hypers, shape, step))))
            for when, step in times.items()
            for shape in SHAPES
        ]
    except NO_VALUE:
        numbers = []
    yield Fact("value by rows × columns", written, tuple(numbers))


def compare_routes(a: CheckedSpec, b: CheckedSpec) -> list[Finding]:
    """The conditions, and parameters that take another route."""
    found = differences("routes", _routes(a), _routes(b))
    if not found:
        return []
    examples: dict[tuple[str, str], list[str]] = {}
    for name, shape in PARAMETERS:
        taken = _route_of(a, name, shape), _route_of(b, name, shape)
        if taken[0] != taken[1]:
            examples.setdefault(taken, []).append(f"{name} {' × '.join(map(str, shape))}".rstrip())
    found += [Finding("routes", f"such as {', '.join(names)}", *taken) for taken, names in examples.items()]
    return found


def _routes(spec: CheckedSpec) -> Iterator[Fact]:
    for route in spec.routes:
        yield Fact(route.target, _condition(route.condition) if route.condition else "all others")
    if not spec.routes:
        yield Fact(*_without_routes(spec))


def _condition(condition: sc.Scalar) -> str:
    text = str(condition)
    return text[1:-1] if text.startswith("(") else text


def _without_routes(spec: CheckedSpec) -> tuple[str, str]:
    if spec.matrix and spec.otherwise:
        return "matrix", "what has it in its group's `route`"
    return ("matrix" if spec.matrix else "otherwise"), "everything"


def compare_views(a: CheckedSpec, b: CheckedSpec) -> list[Finding]:
    """Which matrices are seen in which parameters."""
    facts = [[Fact(view.steps, _condition(view.condition)) for view in spec.views] for spec in (a, b)]
    found = differences("views", *facts)
    return found + _order("views", *([view.steps for view in spec.views] for spec in (a, b)))


def _route_of(spec: CheckedSpec, name: str, shape: tuple[int, ...]) -> str:
    if not spec.routes:
        route, taken = _without_routes(spec)
        return route if taken == "everything" else "the group says"
    try:
        claims = [route.target for route in spec.routes if route.condition and _holds(route.condition, name, shape)]
    except ValueError:
        return "refused"
    claims = claims or [route.target for route in spec.routes if route.condition is None]
    return claims[0] if len(claims) == 1 else "refused"


def _holds(condition: sc.Scalar, name: str, shape: tuple[int, ...]) -> bool:
    numel = 1
    for size in shape:
        numel *= size
    rows, cols = (*shape, 1, 1)[:2]
    sizes = {"ndim": len(shape), "numel": numel, "rows": rows, "cols": cols}
    values: dict[sc.Symbol, float] = {sc.Symbol(each, "shape"): size for each, size in sizes.items()}
    return bool(sc.evaluate(_known(condition, name, shape), values))


def _known(condition: sc.Scalar, name: str, shape: tuple[int, ...]) -> sc.Scalar:
    """The condition for a parameter of this name and shape. Raises ValueError where they do not tell a role."""
    match condition:
        case sc.HasRole(roles):
            return sc.Flag(has_role(roles_of(name, shape), roles))
        case sc.NameMatches(patterns):
            return sc.Flag(any(fnmatchcase(name, pattern) for pattern in patterns))
        case sc.Call(function, arguments):
            return sc.Call(function, tuple(_known(argument, name, shape) for argument in arguments))
        case _:
            return condition


def compare_checkpoints(a: CheckedSpec, b: CheckedSpec) -> list[Finding]:
    lines = [[_checkpoint(each) for each in spec.checkpoints] for spec in (a, b)]
    first = [line for line in lines[0] if line not in lines[1]]
    second = [line for line in lines[1] if line not in lines[0]]
    if not first and not second:
        return []
    return [Finding("checkpoints", "of other systems", "\n".join(first) or None, "\n".join(second) or None)]


def _checkpoint(checkpoint: typed.Checkpoint) -> str:
    entries = ", ".join(f"{name} = {value!r}" for name, value in checkpoint.entries)
    return f"{checkpoint.system} with {entries}"
