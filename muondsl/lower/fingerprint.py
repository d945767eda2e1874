"""The identity of a spec: a hash of what it computes. Comments, spacing and names of temporaries do not change it; a
coefficient, a default, a range or a state does.
"""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING

from muondsl.ir.printer import print_program
from muondsl.ir.rewrite import with_scalars
from muondsl.ir.scalar import Call, Number, Scalar, without_names
from muondsl.lower.checked_to_ir import lower

if TYPE_CHECKING:
    from muondsl.check import CheckedSpec
    from muondsl.ir import program as ir


def fingerprint(spec: CheckedSpec) -> str:
    """`sha256:` and 64 hexadecimal digits."""
    step = lower(spec)
    parts = [f"optimizer {spec.name}"]
    parts += [f"hyper {hyper.name} = {hyper.default} in {hyper.interval}" for hyper in spec.hypers]
    parts += [f"otherwise {name} = {value}" for name, value in spec.overrides]
    parts += [f"route {route.target} {route.condition or 'rest'}" for route in spec.routes]
    parts += [f"view {view.steps} where {view.condition}" for view in spec.views]
    parts += [canonical(program) for program in step.programs()]
    return f"sha256:{sha256(chr(10).join(parts).encode()).hexdigest()}"


def canonical(program: ir.Program) -> str:
    """The program as text, with values numbered and scalars written out: two programs that compute the same, operation
    by operation, have the same.
    """
    definitions = tuple(replace(each, operation=with_scalars(each.operation, by_value)) for each in program.definitions)
    names = {each.value: f"v{number}" for number, each in enumerate(definitions)}
    return print_program(replace(program, definitions=definitions), names)


def by_value(scalar: Scalar) -> Scalar:
    """The scalar without names, its numbers in one spelling: 0.10 is 0.1."""
    match without_names(scalar):
        case Number(text):
            return Number(repr(float(text)))
        case Call(function, arguments):
            return Call(function, tuple(by_value(argument) for argument in arguments))
        case other:
            return other
