"""What each parameter of a model is, from the modules that hold it."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from muondsl.runtime.roles import is_vector, plain_name, roles_of
from muondsl.runtime.vocabulary import ROLES


def model_roles(model: nn.Module) -> Mapping[str, str]:
    """The role of each parameter of a model by its plain name, from the modules that hold it. One that several modules
    hold has the role that comes first in `ROLES`: an embedding tied to the head is an embedding.
    """
    names = {parameter: plain_name(name) for name, parameter in model.named_parameters()}
    widths = {each.num_embeddings for each in model.modules() if isinstance(each, nn.Embedding | nn.EmbeddingBag)}
    found: dict[str, str] = {}
    for path, module in model.named_modules():
        for last, parameter in module.named_parameters(recurse=False):
            holder, own = (module, last) if is_vector(parameter.shape) else _holder(model, module, path, last)
            role = _role(holder, own, f"{path}.{last}" if path else last, parameter, widths)
            name = names[parameter]
            found[name] = min(found.get(name, role), role, key=ROLES.index)
    return found


def _holder(model: nn.Module, module: nn.Module, path: str, last: str) -> tuple[nn.Module, str]:
    """The module that a parameter belongs to, and its name there; those of the tensor that parametrizations or
    `weight_norm` make of it.
    """
    *parts, tensor = path.split(".")
    if parts[-1:] == ["parametrizations"]:
        return model.get_submodule(".".join(parts[:-1])), tensor
    return module, last.removesuffix("_v")


def _role(module: nn.Module, last: str, path: str, parameter: Tensor, widths: set[int]) -> str:
    by_name = roles_of(plain_name(path), parameter.shape)
    if isinstance(module, nn.Embedding | nn.EmbeddingBag):
        return "embedding"
    if isinstance(module, nn.modules.conv._ConvNd) and last == "weight":
        return "conv"
    if _is_norm(module) and parameter.ndim < 2:
        return "norm"
    if isinstance(module, nn.Linear) and last == "weight":
        return "head" if module.out_features in widths or by_name == {"head"} else "matrix"
    if parameter.ndim > 2 and len(by_name) > 1:
        return "expert"
    (role,) = by_name
    return role


def _is_norm(module: nn.Module) -> bool:
    return "Norm" in type(module).__name__
