"""A type checker in strict mode accepts what users write, and finds what they mistype."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.runtime.subjects import ROOT

USER = """
from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

import muondsl
from generated.moonlight import Moonlight
from muondsl.runtime import Options, RoutedParameter, SpecOptimizer


def made(model: nn.Module, options: Options) -> list[SpecOptimizer]:
    Loaded = muondsl.load("specs/moonlight.muon", numerics="faithful")
    return [
        Moonlight(model.parameters(), 1e-3),
        Moonlight(model.named_parameters(), lr=torch.tensor(1e-3), backend="torch", views={"*.qkv": "split(3)"}),
        Moonlight([{"params": model.parameters(), "lr": 1e-3, "route": "matrix"}], fused=None, foreach=False),
        Moonlight.for_model(model, lr=1e-3, roles={"gate": "vector"}),
        Moonlight(model.parameters(), **options),
        Loaded(model.parameters(), lr=1e-3, momentum=0.9),
        Loaded.for_model(model, lr=1e-3),
    ]


def before(optimizer: SpecOptimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    print(optimizer.describe())


def trained(optimizer: SpecOptimizer, loss: Tensor) -> tuple[list[RoutedParameter], float]:
    optimizer.register_step_pre_hook(before)
    optimizer.register_load_state_dict_post_hook(lambda own: print(own))
    optimizer.add_param_group({"params": [loss], "route": "otherwise"})
    LambdaLR(optimizer, lambda epoch: 0.5)
    optimizer.step()
    optimizer.load_state_dict(optimizer.state_dict(), any_fingerprint=True)
    return list(optimizer.routing()), optimizer.step(lambda: loss.item())


model = nn.Linear(3, 4)
optimizer = Moonlight(model.parameters())
Moonlight(model.parameters(), backends="torch")  # error: call-arg
Moonlight(model.parameters(), backend="cuda")  # error: arg-type
Moonlight(model.parameters(), lr="fast")  # error: arg-type
Moonlight(model.parameters(), momentom=0.9)  # error: call-arg
Moonlight(model.parameters(), views={"qkv": 3})  # error: dict-item
Moonlight(0.1)  # error: arg-type
number: int = optimizer.step()  # error: assignment
optimizer.routing()[0].rate  # error: attr-defined
optimizer.load_state_dict({}, any_fingerprint="yes")  # error: arg-type
optimizer.register_state_dict_pre_hook(before)  # error: arg-type
""".lstrip()


def test_a_file_of_a_user_has_the_errors_that_it_marks_and_no_other(tmp_path: Path) -> None:
    """Also in the files of ours that it imports, under the project's settings."""
    path = tmp_path / "file_of_a_user.py"
    path.write_text(USER, "utf-8")
    options = ["--hide-error-context", "--no-color-output", "--no-error-summary"]
    command = [sys.executable, "-m", "mypy", *options, str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    marked = {
        (path.name, number, match[1])
        for number, line in enumerate(USER.splitlines(), 1)
        if (match := re.search("# error: (.+)$", line))
    }
    # mypy's cache may show the same file of an earlier run, which was elsewhere.
    found = re.findall(r"^.*?([^/]+):(\d+): error: .*\[(.+)\]$", done.stdout, re.MULTILINE)
    assert {(file, int(number), code) for file, number, code in found} == marked, done.stdout + done.stderr
