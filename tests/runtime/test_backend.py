"""Which backend steps which parameters, and what is refused."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from torch.nn import Parameter

import muondsl
from muondsl.runtime import backend
from muondsl.runtime.backend import BackendOptions, choose
from tests.runtime.subjects import (
    CLASSES,
    ROOT,
    Optimizer,
    advance,
    assert_same,
    each_of,
    every_class,
    every_class_with_kernels,
    main_route,
    new_groups,
    new_parameters,
    random,
    set_gradients,
    snapshot,
)

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)


@pytest.fixture
def on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    monkeypatch.setattr(backend, "architecture_of", lambda device: "sm_90")


def chosen(options: BackendOptions, device: torch.device, dtype: torch.dtype = torch.float32) -> backend.Choice:
    return choose(options, has_launches=True, device=device, dtype=dtype)


@every_class_with_kernels
def test_on_the_cpu_auto_is_the_torch_path(kind: Optimizer) -> None:
    automatic, plain = (kind(new_groups(new_parameters(kind)), backend=name) for name in ("auto", "torch"))
    for optimizer in (automatic, plain):
        advance(optimizer, range(2))
    assert_same(snapshot(automatic), snapshot(plain))
    assert f"{main_route(kind)}, cpu, float32: 3 parameters, torch (no kernels run on cpu)" in automatic.describe()
    assert f"{main_route(kind)}, cpu, float32: 3 parameters, torch (backend='torch')" in plain.describe()


@pytest.mark.usefixtures("on_a_gpu")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_on_a_gpu_auto_is_triton(dtype: torch.dtype) -> None:
    assert chosen(BackendOptions(), GPU, dtype) == backend.Choice("triton", "sm_90")


@pytest.mark.usefixtures("on_a_gpu")
def test_auto_leaves_to_torch_what_triton_cannot_step(monkeypatch: pytest.MonkeyPatch) -> None:
    assert chosen(BackendOptions("torch"), GPU).reason == "backend='torch'"
    assert "float64" in chosen(BackendOptions(), GPU, torch.float64).reason
    assert chosen(BackendOptions(), torch.device("xpu")).reason == "no kernels run on xpu"
    no_form = choose(BackendOptions(), has_launches=False, device=GPU, dtype=torch.float32)
    assert no_form == backend.Choice("torch", "the route has no Triton form in this precision")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    assert chosen(BackendOptions(), GPU).reason == "the device is older than sm_80"
    monkeypatch.setattr(backend, "IS_INTERPRETING", True)
    assert "TRITON_INTERPRET" in chosen(BackendOptions(), GPU).reason
    monkeypatch.setattr(backend, "HAS_TRITON", False)
    assert chosen(BackendOptions(), GPU).reason == "Triton is not installed"


@every_class_with_kernels
def test_triton_on_the_cpu_is_refused_before_anything_is_changed(kind: Optimizer) -> None:
    optimizer = kind(new_groups(new_parameters(kind)), backend="triton")
    set_gradients([each for group in optimizer.param_groups for each in group["params"]], 0)
    before = snapshot(optimizer)
    with pytest.raises(RuntimeError, match=r"parameters of torch.float32 on cpu: .* set TRITON_INTERPRET=1"):
        optimizer.step()
    assert_same(snapshot(optimizer), before)


@every_class_with_kernels
def test_triton_that_is_not_installed_is_refused_at_construction(
    kind: Optimizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend, "HAS_TRITON", False)
    with pytest.raises(RuntimeError, match="backend='triton' needs Triton, which is not installed"):
        kind([Parameter(random((4, 6), 1))], backend="triton")
    kind([{"params": [Parameter(random((4, 6), 1))], "route": main_route(kind)}])


IN_FP64 = muondsl.load(ROOT / "specs" / "moonlight.muon", precision="fp64")


@each_of([IN_FP64, *(kind for kind in CLASSES if not kind.launches)])
def test_a_class_without_kernels_refuses_triton(kind: Optimizer) -> None:
    with pytest.raises(RuntimeError, match=f"{kind.__name__} has no Triton form in its precision"):
        kind([{"params": [Parameter(random((4, 6), 1))], "route": main_route(kind)}], backend="triton")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backend": "cuda"}, r"backend should be one of \('auto', 'triton', 'torch'\) but is: 'cuda'"),
        ({"workspace": 0}, "workspace should be a positive number of bytes but is: 0"),
    ],
)
@every_class
def test_options_that_are_none_are_refused(kind: Optimizer, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kind([{"params": [Parameter(random((4, 6), 1))], "route": main_route(kind)}], **options)


@every_class
def test_options_survive_copies_and_are_in_no_checkpoint(kind: Optimizer) -> None:
    options = {"backend": "torch", "capturable": True, "workspace": 1 << 30}
    optimizer = kind(new_groups(new_parameters(kind)), **options)
    advance(optimizer, [0])
    for other in (copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))):
        assert other.backend.options == BackendOptions("torch", capturable=True, workspace=1 << 30)
        advance(other, [1])
    saved = optimizer.state_dict()
    assert set(saved) == {"state", "param_groups"}
    assert not [group for group in saved["param_groups"] if {"backend", "capturable", "workspace"} & set(group)]
    other = kind(new_groups(new_parameters(kind)), backend="auto")
    other.load_state_dict(saved)
    assert other.backend.options == BackendOptions()


@every_class
def test_an_optimizer_without_parameters_describes_itself(kind: Optimizer) -> None:
    optimizer = kind([{"params": [], "route": main_route(kind)}])
    assert optimizer.describe() == f"{kind.__name__}  {kind.fingerprint}"
