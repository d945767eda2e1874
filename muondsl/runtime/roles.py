"""What a parameter is in its model, by which routes tell embeddings from hidden matrices: from names and shapes. Needs
no torch.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

from muondsl.runtime.vocabulary import ROLES

EMBEDDING_NAMES = ("*embed*", "*wte*", "*wpe*")
HEAD_NAMES = (
    *("*lm_head*", "head.*", "*.head.*", "classifier.*", "*.classifier.*"),
    *("fc.*", "output.weight", "score.weight"),
)
"""Names of GPT-2, Llama, timm, torchvision and transformers. `head` is a whole part of a name: `heads` is no head."""

WRAPPERS = ("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "module")
"""Parts of names that torch.compile, distributed wrappers and checkpointing put in; `module` at the beginning alone."""


class UndecidedError(ValueError):
    """What a route or view asks of a parameter, and nobody has said."""


def plain_name(name: str) -> str:
    """The name that a parameter has in the model itself."""
    parts = name.split(".")
    kept = [part for index, part in enumerate(parts) if part not in WRAPPERS or (part == "module" and index > 0)]
    return ".".join(kept)


def roles_of(name: str | None, shape: Sequence[int]) -> frozenset[str]:
    """The roles that a parameter can have, as far as its name, if it has one, and its shape tell."""
    if is_vector(shape):
        return frozenset({_vector_role(name)} if name else {"norm", "bias", "vector"})
    if name is None:
        return frozenset({"embedding", "head", "matrix"} if len(shape) == 2 else {"conv", "expert"})
    if len(shape) == 2:
        return frozenset({_matrix_role(name)})
    if "expert" in name:
        return frozenset({"expert"})
    if len(shape) > 3 or "conv" in name:
        return frozenset({"conv"})
    return frozenset({"embedding"} if _is_like(name, EMBEDDING_NAMES) else {"conv", "expert"})


def is_vector(shape: Sequence[int]) -> bool:
    return len(shape) < 2 or math.prod(shape) == max(shape)


def has_role(possible: frozenset[str], asked: Sequence[str]) -> bool:
    """Whether a parameter has one of the roles asked. Raises UndecidedError where it may or may not."""
    if possible <= set(asked):
        return True
    if possible.isdisjoint(asked):
        return False
    raise UndecidedError(f"may be {' or '.join(sorted(possible))}")


def _is_like(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _matrix_role(name: str) -> str:
    if _is_like(name, EMBEDDING_NAMES):
        return "embedding"
    return "head" if _is_like(name, HEAD_NAMES) else "matrix"


def _vector_role(name: str) -> str:
    *modules, last = name.lower().split(".")
    if any("norm" in part or part.startswith("ln") for part in (*modules, last)):
        return "norm"
    return "bias" if last.endswith("bias") else "vector"


def chosen_roles(given: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """The roles of those names that `given` has, by the name itself or a glob. Raises ValueError for what is no role,
    and where two globs give a name different ones.
    """
    for role in given.values():
        if role not in ROLES:
            raise ValueError(f"a role should be one of {', '.join(ROLES)} but is: {role!r}")
    found = {name: chosen(given, name, "roles") for name in names}
    return {name: role for name, role in found.items() if role is not None}


def chosen(given: Mapping[str, str], name: str, what: str) -> str | None:
    """What is given for a name: under the name itself, or else under the one glob that matches."""
    if name in given:
        return given[name]
    found = {value: pattern for pattern, value in given.items() if fnmatchcase(name, pattern)}
    if len(found) > 1:
        raise ValueError(f"{what} give {name} {' and '.join(f'{value!r}' for value in found)}")
    return next(iter(found), None)
