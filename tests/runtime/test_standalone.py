"""Standalone files, in a process that has torch and no muondsl."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import torch

import muondsl
from tests.runtime.subjects import (
    CLASSES,
    CORE_CLASSES,
    ROOT,
    Optimizer,
    advance,
    assert_same,
    every_class_costly,
    flat,
    new_groups,
    new_parameters,
    set_gradients,
    snapshot,
)

CHILD = """
import importlib.util, pickle, sys
from pathlib import Path

sys.modules["muondsl"] = None  # what makes every import of it fail
import torch

folder = Path(sys.argv[1])
for path in sorted(folder.glob("*.py")):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    (name,) = module.__all__
    given = torch.load(path.with_suffix(".given"))
    optimizer = getattr(module, name)(given["groups"])
    for step, gradients in enumerate(given["gradients"]):
        parameters = [each for group in optimizer.param_groups for each in group["params"]]
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        optimizer.step()
        optimizer = pickle.loads(pickle.dumps(optimizer))
    found = [each.detach() for group in optimizer.param_groups for each in group["params"]]
    torch.save({"parameters": found, "state_dict": optimizer.state_dict()}, path.with_suffix(".found"))
"""
STEPS = 3


def stem(kind: Optimizer) -> str:
    return kind.__module__.split(".")[-1]


@cache
def folder_of(kinds: tuple[Optimizer, ...]) -> Path:
    """Their specs compiled, and run from the same start and with the same gradients as the tests use."""
    folder = Path(mkdtemp(dir=os.environ["MUONDSL_CACHE"]))
    for kind in kinds:
        text = muondsl.compile(ROOT / "specs" / f"{stem(kind)}.muon", standalone=True)
        (folder / f"{stem(kind)}.py").write_text(text, "utf-8")
        parameters = new_parameters(kind)
        gradients = []
        for step in range(STEPS):
            set_gradients(flat(parameters), step)
            gradients.append([parameter.grad for parameter in flat(parameters)])
        torch.save({"groups": new_groups(parameters), "gradients": gradients}, folder / f"{stem(kind)}.given")
    done = subprocess.run([sys.executable, "-I", "-c", CHILD, str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@every_class_costly
def test_a_standalone_file_computes_the_same_bits_without_muondsl(kind: Optimizer) -> None:
    others = tuple(each for each in CLASSES if each not in CORE_CLASSES)
    folder = folder_of(tuple(CORE_CLASSES) if kind in CORE_CLASSES else others)
    found = torch.load(folder / f"{stem(kind)}.found")
    optimizer = kind(new_groups(new_parameters(kind)))
    advance(optimizer, range(STEPS))
    assert_same(found["parameters"], [each.detach() for group in optimizer.param_groups for each in group["params"]])
    # Its checkpoint is ours: the fingerprint is that of the same spec.
    other = kind(new_groups(new_parameters(kind)))
    other.load_state_dict(found["state_dict"])
    expected = snapshot(optimizer)
    for group, values in zip(other.param_groups, optimizer.param_groups, strict=True):
        for parameter, value in zip(group["params"], values["params"], strict=True):
            parameter.data.copy_(value.detach())
    assert_same(snapshot(other), expected)


def test_a_standalone_file_exports_its_class_alone() -> None:
    folder = folder_of(tuple(CORE_CLASSES))
    for kind in CORE_CLASSES:
        text = (folder / f"{stem(kind)}.py").read_text("utf-8")
        assert text.count("__all__") == 1
        assert f'__all__ = ["{kind.__name__}"]' in text
        assert "import muondsl" not in text
        assert "from muondsl" not in text
