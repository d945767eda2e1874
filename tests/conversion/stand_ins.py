"""The layouts of two systems that are not installed, around the references of what they compute, which were verified
against the originals (tests/reference/README.md).

Keras 3.15.1: keras/src/optimizers/muon.py (`build`), base_optimizer.py (order and names of variables). nanochat:
nanochat/optim.py of 0e4b3faded62 (`MuonAdamW._step_muon`, `_step_adamw`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from tests.reference import keras, nanochat_latest

CONFIG: dict[str, Any] = {
    "name": "muon",
    "learning_rate": 1e-3,
    "weight_decay": 0.004,
    "clipnorm": None,
    "use_ema": False,
    "adam_beta_1": 0.9,
    "adam_beta_2": 0.999,
    "epsilon": 1e-7,
    "muon_a": 3.4445,
    "muon_b": -4.775,
    "muon_c": 2.0315,
    "adam_lr_ratio": 1,
    "momentum": 0.95,
    "ns_steps": 5,
    "nesterov": True,
    "exclude_embeddings": True,
    "adam_weight_decay": 0.004,
    "rms_rate": 0.2,
}
"""Of `get_config`, what matters here."""


class KerasMuon:
    """`model` are the variables by their paths, kernels [inputs, outputs], in the model's order."""

    def __init__(self, model: Mapping[str, Tensor], exclude_layers: tuple[str, ...] = (), **changes: Any) -> None:
        self.model = dict(model)
        self.config = CONFIG | {"exclude_layers": list(exclude_layers)} | changes
        self.variables: dict[str, Tensor] = {"muon/iteration": torch.tensor(0)}
        self.variables["muon/learning_rate"] = torch.tensor(self.config["learning_rate"])
        for path, value in self.model.items():
            self.variables[self.path_of(path, "momentum")] = torch.zeros_like(value)
            if keras.takes_adam(path, value.shape, exclude_layers=exclude_layers):
                self.variables[self.path_of(path, "velocity")] = torch.zeros_like(value)

    @staticmethod
    def path_of(path: str, state: str) -> str:
        return f"muon/{path.replace('/', '_')}_{state}"

    def step(self, gradients: Mapping[str, Tensor]) -> None:
        config = self.config
        self.variables["muon/iteration"] += 1
        for path, gradient in gradients.items():
            momentum, velocity = self.path_of(path, "momentum"), self.path_of(path, "velocity")
            state = {"m": self.variables[momentum]}
            if velocity in self.variables:
                state["v"] = self.variables[velocity]
                self.model[path] = keras.adam(
                    self.model[path],
                    gradient,
                    state,
                    int(self.variables["muon/iteration"]),
                    lr=config["learning_rate"],
                    weight_decay=config["adam_weight_decay"],
                    adam_lr_ratio=config["adam_lr_ratio"],
                    betas=(config["adam_beta_1"], config["adam_beta_2"]),
                )
                self.variables[velocity] = state["v"]
            else:
                hypers = {name: config[name] for name in ("momentum", "weight_decay", "rms_rate")}
                self.model[path] = keras.muon(self.model[path], gradient, state, lr=config["learning_rate"], **hypers)
            self.variables[momentum] = state["m"]

    def saved(self) -> dict[str, Any]:
        return {"config": dict(self.config), "variables": {path: each.clone() for path, each in self.variables.items()}}

    def load(self, saved: Mapping[str, Any]) -> None:
        """As docs/checkpoints.md says: the constructor takes the config, and each variable what has its path."""
        assert saved["config"].keys() <= self.config.keys()
        self.config |= saved["config"]
        assert saved["variables"].keys() == self.variables.keys()
        for path, own in self.variables.items():
            value = saved["variables"][path]
            assert value.shape == own.shape
            self.variables[path] = value.clone()


class MuonAdamW(torch.optim.Optimizer):
    """The single-process class: groups of `kind` muon, each of one shape, and adamw."""

    def __init__(self, param_groups: list[dict[str, Any]]) -> None:
        super().__init__(param_groups, {})

    def step(self) -> None:
        for group in self.param_groups:
            (self._step_muon if group["kind"] == "muon" else self._step_adamw)(group)

    @torch.no_grad()
    def _step_adamw(self, group: dict[str, Any]) -> None:
        for parameter in group["params"]:
            state = self.state[parameter]
            if not state:
                state["step"] = 0
                state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
            state["step"] += 1
            held = {"m": state["exp_avg"], "v": state["exp_avg_sq"]}
            hypers = {name: group[name] for name in ("lr", "weight_decay", "betas")}
            parameter.copy_(nanochat_latest.adamw(parameter, parameter.grad, held, state["step"], **hypers))
            state["exp_avg"], state["exp_avg_sq"] = held["m"], held["v"]

    @torch.no_grad()
    def _step_muon(self, group: dict[str, Any]) -> None:
        members = group["params"]
        state, shape = self.state[members[0]], members[0].shape
        if not state:
            reduced = (*shape[:-1], 1) if shape[-2] >= shape[-1] else (*shape[:-2], 1, shape[-1])
            for name, sizes in (("momentum_buffer", shape), ("second_momentum_buffer", reduced)):
                state[name] = torch.zeros(len(members), *sizes, dtype=members[0].dtype)
        hypers = {name: group[name] for name in ("lr", "momentum", "weight_decay", "beta2")}
        for index, parameter in enumerate(members):
            held = {"m": state["momentum_buffer"][index], "v": state["second_momentum_buffer"][index]}
            parameter.copy_(nanochat_latest.muon(parameter, parameter.grad, held, **hypers))
            state["momentum_buffer"][index], state["second_momentum_buffer"][index] = held["m"], held["v"]
