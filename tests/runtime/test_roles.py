"""Which role a parameter has: by the modules of its model, by its name and shape, or by what the user says."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from generated.keller_jordan import KellerJordan
from generated.moonlight import Moonlight
from generated.nanochat import Nanochat
from muondsl.runtime.model_roles import model_roles
from muondsl.runtime.roles import plain_name, roles_of
from muondsl.runtime.vocabulary import ROLES
from tests.runtime.models import Experts, Gpt, Resnet


def test_modules_tell_the_roles_of_their_parameters() -> None:
    assert model_roles(Gpt()) == {
        "tok.weight": "embedding",
        "pos.weight": "embedding",
        "block.ln_1.weight": "norm",
        "block.ln_1.bias": "norm",
        "block.qkv.weight": "matrix",
        "block.qkv.bias": "bias",
        "block.proj.weight": "matrix",
        "block.up.weight": "matrix",
        "block.down.weight": "matrix",
        "ln_f.weight": "norm",
        "ln_f.bias": "norm",
    }
    assert model_roles(Experts()) == {"gate.weight": "matrix", "w_in": "expert", "w_out": "expert"}
    found = model_roles(Resnet())
    assert {name for name, role in found.items() if role == "conv"} == {
        "conv1.weight",
        *(f"layer{stage}.0.{name}.weight" for stage in (1, 2) for name in ("conv1", "conv2", "downsample.0")),
    }
    assert (found["fc.weight"], found["fc.bias"], found["layer1.0.downsample.1.weight"]) == ("head", "bias", "norm")


def test_a_linear_layer_as_wide_as_the_vocabulary_is_a_head_whatever_its_name() -> None:
    model = nn.ModuleDict({"a": nn.Embedding(11, 4), "b": nn.Linear(4, 4), "c": nn.Linear(4, 11)})
    assert model_roles(model) == {
        "a.weight": "embedding",
        "b.weight": "matrix",
        "b.bias": "bias",
        "c.weight": "head",
        "c.bias": "bias",
    }


@pytest.mark.parametrize(
    ("name", "shape", "expected"),
    [
        ("transformer.wte.weight", (50257, 768), {"embedding"}),
        ("pos_embed", (1, 197, 768), {"embedding"}),
        ("cls_token", (1, 1, 768), {"vector"}),
        ("lm_head.weight", (50257, 768), {"head"}),
        ("model.head.weight", (10, 768), {"head"}),
        ("attention.heads.weight", (768, 768), {"matrix"}),
        ("classifier.weight", (10, 768), {"head"}),
        ("features.0.weight", (64, 3, 11, 11), {"conv"}),
        ("features.0.weight", (64, 3, 11), {"conv", "expert"}),
        ("conv1d.weight", (64, 3, 11), {"conv"}),
        ("mlp.experts.w1", (8, 256, 64), {"expert"}),
        ("mlp.experts.w1", (2, 8, 256, 64), {"expert"}),
        ("ln_f.bias", (768,), {"norm"}),
        ("attn_norm.weight", (768,), {"norm"}),
        ("mlp.c_fc.bias", (3072,), {"bias"}),
        ("scale", (), {"vector"}),
        (None, (768, 768), {"embedding", "head", "matrix"}),
        (None, (8, 3, 3), {"conv", "expert"}),
        (None, (768,), {"norm", "bias", "vector"}),
        (None, (1, 1), {"norm", "bias", "vector"}),
    ],
)
def test_names_and_shapes_tell_what_they_can(name: str | None, shape: tuple[int, ...], expected: set[str]) -> None:
    assert roles_of(name, shape) == expected <= set(ROLES)


@pytest.mark.parametrize(
    "name", ["module.a.weight", "_orig_mod.a.weight", "module._orig_mod.a._fsdp_wrapped_module.weight"]
)
def test_what_wrappers_put_into_names_is_left_out(name: str) -> None:
    assert plain_name(name) == "a.weight"
    assert plain_name("encoder.module.weight") == "encoder.module.weight"


def test_a_tied_embedding_is_one_parameter_and_goes_where_embeddings_go() -> None:
    model = Gpt()
    optimizer = Moonlight.for_model(model)
    routes = {name: group["route"] for group in optimizer.param_groups for name in group["param_names"]}
    assert routes["tok.weight"] == "otherwise"
    assert "out.weight" not in routes
    assert len(routes) == len(list(model.parameters()))
    by_name = Moonlight(model.named_parameters())
    taken = {name: group["route"] for group in by_name.param_groups for name in group["param_names"]}
    assert taken["tok.weight"] == "matrix", "no name says that this is an embedding: for_model does"


def test_a_compiled_or_wrapped_model_has_the_roles_of_the_model() -> None:
    model = Gpt()
    wrapped = torch.compile(nn.Sequential(model), backend="eager")
    routes = {
        name: group["route"] for group in Nanochat.for_model(wrapped).param_groups for name in group["param_names"]
    }
    assert routes["_orig_mod.0.tok.weight"] == "otherwise"
    assert routes["_orig_mod.0.block.up.weight"] == "matrix"


def test_roles_that_the_user_gives_win() -> None:
    model = Gpt()
    optimizer = KellerJordan.for_model(model, lr=0.5, roles={"block.qkv.weight": "head", "*.up.*": "embedding"})
    assert optimizer.param_groups[0]["lr"] == 0.5
    routes = {name: group["route"] for group in optimizer.param_groups for name in group["param_names"]}
    assert routes["block.qkv.weight"] == routes["block.up.weight"] == "otherwise"
    assert routes["block.down.weight"] == "matrix"


def test_a_role_of_no_parameter_is_refused() -> None:
    with pytest.raises(ValueError, match="roles has 'mlp', but Moonlight has no parameter of such a name"):
        Moonlight.for_model(Gpt(), roles={"mlp": "head"})
    with pytest.raises(ValueError, match=r"a role should be one of embedding, .* but is: 'hed'"):
        Moonlight.for_model(Gpt(), roles={"tok.weight": "hed"})


def test_a_model_with_what_the_spec_does_not_take_is_refused_with_a_list() -> None:
    with pytest.raises(ValueError, match=r"conv1\.weight of size \(4, 3, 7, 7\) \(claimed by no route\); layer1"):
        Moonlight.for_model(Resnet())
    with pytest.raises(ValueError, match=r"w_in of size \(3, 8, 4\) \(claimed by no route\); w_out"):
        KellerJordan.for_model(Experts())
