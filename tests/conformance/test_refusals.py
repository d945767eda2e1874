"""What cannot be stepped is refused with a reason, and nothing is changed."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import Parameter

from tests.runtime.subjects import (
    CLASSES,
    Optimizer,
    advance,
    assert_same,
    every_generated_class,
    main_route,
    random,
    set_gradients,
    snapshot,
)


@every_generated_class
def test_complex_parameters_are_refused(kind: Optimizer) -> None:
    optimizer = kind([{"params": [Parameter(random((4, 6), 1))], "route": main_route(kind)}])
    with pytest.raises(RuntimeError, match=f"{kind.__name__} does not support complex parameters"):
        optimizer.add_param_group(
            {"params": [Parameter(torch.zeros(4, 4, dtype=torch.complex64))], "route": main_route(kind)}
        )
    assert len(optimizer.param_groups) == 1


@every_generated_class
def test_a_sparse_gradient_anywhere_is_refused_before_anything_is_changed(kind: Optimizer) -> None:
    good, bad = Parameter(random((4, 6), 1)), Parameter(random((4, 6), 2))
    optimizer = kind([{"params": [good, bad], "route": main_route(kind)}])
    advance(optimizer, [0])
    before = snapshot(optimizer)
    set_gradients([good, bad], 1)
    bad.grad = bad.grad.to_sparse()
    with pytest.raises(RuntimeError, match=f"{kind.__name__} does not support sparse gradients"):
        optimizer.step()
    assert_same(snapshot(optimizer), before)


@pytest.fixture
def sharded() -> Any:
    """A DTensor on a mesh of one process."""
    import torch.distributed as dist
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import Shard, distribute_tensor

    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        yield Parameter(distribute_tensor(random((4, 6), 1), init_device_mesh("cpu", (1,)), [Shard(0)]))
    finally:
        dist.destroy_process_group()


def test_sharded_parameters_are_refused_by_every_class(sharded: Parameter) -> None:
    for kind in CLASSES:
        optimizer = kind([{"params": [Parameter(random((4, 6), 1))], "route": main_route(kind)}])
        with pytest.raises(TypeError, match=f"{kind.__name__} does not support sharded or flattened .*: DTensor"):
            optimizer.add_param_group({"params": [sharded], "route": main_route(kind)})
        assert len(optimizer.param_groups) == 1
