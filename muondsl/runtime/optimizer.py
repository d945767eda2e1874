"""The base of generated optimizers: parameter groups, routing, state, checkpoints, and the loop of a step.

What a step computes is in the generated class; nothing here knows any algorithm.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, ClassVar, overload

import torch
from torch import Tensor
from torch.optim.optimizer import Optimizer

from muondsl.runtime.backend import Backend, BackendName, BackendOptions, placed_step
from muondsl.runtime.batch import LaunchFunction
from muondsl.runtime.declarations import Checkpoint, Hyper, HyperValue, Parameter, Route, State
from muondsl.runtime.describe import describe

ParamsT = Iterable[Tensor] | Iterable[dict[str, Any]] | Iterable[tuple[str, Tensor]]

MATRIX, OTHERWISE = "matrix", "otherwise"


class SpecOptimizer(Optimizer):
    """A torch optimizer whose step is compiled from a spec.

    Every parameter group has a `route`: `matrix`, whose parameters are 2-D and take the stages of the spec, or
    `otherwise`. A group may state its own; a group that does not is divided by the routes of the spec, parameter by
    parameter. All hypers are live: a step uses what the group holds when it begins. A step runs kernels of `launches`
    or, where `backend` says so, `update_parameter`.
    """

    fingerprint: ClassVar[str]
    hypers: ClassVar[tuple[Hyper, ...]]
    states: ClassVar[Mapping[str, tuple[State, ...]]]
    routes: ClassVar[Mapping[str, Route]] = {}
    checkpoints: ClassVar[tuple[Checkpoint, ...]] = ()
    counts_steps: ClassVar[frozenset[str]] = frozenset()
    launches: ClassVar[Mapping[str, LaunchFunction]] = {}

    def __init__(
        self,
        params: ParamsT,
        defaults: dict[str, Any],
        otherwise_defaults: Mapping[str, Any] | None = None,
        *,
        backend: BackendName = "auto",
        capturable: bool = False,
        workspace: int | None = None,
    ) -> None:
        """`otherwise_defaults` are the defaults of hypers in groups of that route.

        `backend`: `triton`, `torch`, or `auto`, which is Triton for parameters that it can step on a GPU. `capturable`:
        a step may be captured in a CUDA graph; hypers that are tensors stay on the device. `workspace`: no more bytes
        than that are used between the launches of a step.

        Raises ValueError for a hyper outside its range, for a parameter that no route or more than one route
        claims, and for a `matrix` parameter that is not 2-D; TypeError for parameters that are sharded; RuntimeError
        for complex ones, and for a backend that cannot be.
        """
        self._options = BackendOptions(backend, capturable, workspace)
        self._options.check(type(self).__name__, has_launches=bool(self.launches))
        self.backend = Backend(self._options)
        self._otherwise_defaults = dict(otherwise_defaults or {})
        for hyper in self.hypers:
            hyper.check(defaults[hyper.name])
            if hyper.name in self._otherwise_defaults:
                replace(hyper, name=f"otherwise_{hyper.name}").check(self._otherwise_defaults[hyper.name])
        super().__init__(params, defaults)

    def __getstate__(self) -> dict[str, Any]:
        return {
            **super().__getstate__(),
            "_otherwise_defaults": self._otherwise_defaults,
            "_options": self._options,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self.backend = Backend(self._options)

    def describe(self) -> str:
        """What a step runs: for each route, device and dtype the backend with the reason for it, matrices with the
        form in which they are iterated, workspace, and launches.
        """
        return describe(self)

    @abstractmethod
    def update_parameter(
        self,
        route: str,
        parameter: Tensor,
        gradient: Tensor,
        state: Mapping[str, Tensor],
        hypers: Mapping[str, Any],
        step: int,
    ) -> None:
        """Changes the parameter and its states in place; `step` counts from one."""

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Performs a single optimization step. Parameters without a gradient, and empty ones, are left alone.

        Args:
            closure (Callable, optional): evaluates the model again and returns the loss.

        Raises RuntimeError for a gradient that is sparse or not of its parameter's dtype, and for parameters that the
        backend cannot step, before anything is changed.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._check_gradient(parameter, parameter.grad)
        others: dict[int, list[Tensor]] = {}
        for number, parameter in self.backend.step(self):
            others.setdefault(number, []).append(parameter)
        for number, parameters in others.items():
            group = self.param_groups[number]
            hypers = {hyper.name: hyper.number(group[hyper.name]) for hyper in self.hypers}
            for parameter in parameters:
                assert parameter.grad is not None
                self._step_parameter(group["route"], parameter, parameter.grad, hypers)
        return loss

    def _check_gradient(self, parameter: Tensor, gradient: Tensor) -> None:
        name = type(self).__name__
        if gradient.layout != torch.strided:
            raise RuntimeError(f"{name} does not support sparse gradients")
        if gradient.dtype != parameter.dtype:
            raise RuntimeError(
                f"{name} does not support gradients of another dtype than their parameter: "
                f"{gradient.dtype} for {parameter.dtype}"
            )

    def _step_parameter(
        self, route: str, parameter: Tensor, gradient: Tensor, hypers: Mapping[str, HyperValue]
    ) -> None:
        state = self.ready_state(route, parameter, gradient)
        step = 1
        if route in self.counts_steps:
            state["step"] += 1
            step = int(state["step"].item())
        self.update_parameter(route, parameter, gradient, state, hypers, step)

    def ready_state(self, route: str, parameter: Tensor, gradient: Tensor) -> dict[str, Tensor]:
        """The states of a parameter, those added that are missing."""
        state: dict[str, Tensor] = self.state[parameter]
        if route in self.counts_steps:
            step = state["step"] if "step" in state else torch.zeros((), dtype=torch.float32, device="cpu")
            state["step"] = placed_step(step, parameter, self._options)
        for each in self.states[route]:
            if each.name not in state:
                state[each.name] = each.create(parameter, gradient)
        return state

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Adds a group; without a `route` of its own it becomes one group for each route its parameters take."""
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        given = param_group["params"]
        if isinstance(given, set) or (not isinstance(given, Tensor) and not isinstance(given, Iterable)):
            super().add_param_group(param_group)
            return
        members = [given] if isinstance(given, Tensor) else list(given)
        options = {key: value for key, value in param_group.items() if key != "params"}
        before = len(self.param_groups)
        try:
            for route, chosen in self._divided(members, options).items():
                given = options if len(self.param_groups) == before else self._own_tensors(options)
                group = {**given, "params": chosen, "route": route}
                if route == OTHERWISE:
                    group = {**self._otherwise_defaults, **group}
                self._check_group(group)
                super().add_param_group(group)
        except Exception:
            del self.param_groups[before:]
            raise

    def _own_tensors(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """The options with hypers that are tensors copied: a scheduler would change a shared one once a group."""
        tensors = {
            hyper.name: value.clone()
            for hyper in self.hypers
            if isinstance(value := options.get(hyper.name, self.defaults[hyper.name]), Tensor)
        }
        return {**options, **tensors}

    def _divided(self, members: list[Any], options: Mapping[str, Any]) -> dict[str, list[Any]]:
        """The members of a group by their route."""
        known = tuple(self.states)
        if "route" in options:
            if options["route"] not in known:
                raise ValueError(f"route should be one of {known} but is: {options['route']!r}")
            return {options["route"]: members}
        if self.routes:
            return self._routed(members)
        if known == (MATRIX,):
            return {MATRIX: members}
        raise ValueError(
            f"{type(self).__name__} has no routes of its own: give each parameter group "
            "a 'route' of 'matrix' or 'otherwise'"
        )

    def _routed(self, members: list[Any]) -> dict[str, list[Any]]:
        divided: dict[str, list[Any]] = {route: [] for route in self.routes}
        refused: list[str] = []
        for member in members:
            name, tensor = member if isinstance(member, tuple) else (None, member)
            if not isinstance(tensor, Tensor):
                raise TypeError(
                    f"optimizer can only optimize Tensors, but one of the params is {torch.typename(tensor)}"
                )
            parameter = Parameter(name, tuple(tensor.shape))
            claims = [route for route, claims_it in self.routes.items() if claims_it(parameter)]
            if len(claims) == 1:
                divided[claims[0]].append(member)
            else:
                taken = "no route" if not claims else " and ".join(claims)
                refused.append(f"{name or 'unnamed'} of size {tuple(tensor.shape)} (claimed by {taken})")
        if refused:
            raise ValueError(f"{type(self).__name__} cannot route these parameters: {'; '.join(refused)}")
        return {route: chosen for route, chosen in divided.items() if chosen} or {MATRIX: []}

    def _check_group(self, group: Mapping[str, Any]) -> None:
        for hyper in self.hypers:
            if hyper.name in group:
                hyper.check(group[hyper.name])
        for member in group["params"]:
            parameter = member[1] if isinstance(member, tuple) else member
            if isinstance(parameter, Tensor):
                self._check_parameter(group["route"], parameter)

    def _check_parameter(self, route: str, parameter: Tensor) -> None:
        name = type(self).__name__
        if not (parameter.is_floating_point() or torch.is_complex(parameter)):
            raise TypeError(f"{name} only supports floating-point parameters but got: {parameter.dtype}")
        if torch.is_complex(parameter):
            raise RuntimeError(f"{name} does not support complex parameters")
        if hasattr(parameter, "placements") or hasattr(parameter, "_is_flat_param"):
            raise TypeError(f"{name} does not support sharded or flattened parameters: {type(parameter).__name__}")
        if route == MATRIX and parameter.ndim != 2:
            raise ValueError(
                f"{name} only supports 2D parameters whereas we found a parameter with size: {parameter.size()}"
            )

    def state_dict(self) -> dict[str, Any]:
        """As torch's, with the fingerprint of the spec in each group, and in groups of matrices what a compatible class
        keeps there.
        """
        saved = super().state_dict()
        extra = dict(self.checkpoints[0].entries) if self.checkpoints else {}
        for group in saved["param_groups"]:
            group.update(extra if group["route"] == MATRIX else {}, fingerprint=self.fingerprint)
        return saved

    def load_state_dict(self, state_dict: dict[str, Any], *, any_fingerprint: bool = False) -> None:
        """Loads what `state_dict` returned, here or in a class that the spec names as compatible.

        Raises ValueError, before anything is changed, for a checkpoint of another spec (unless `any_fingerprint`), of
        a class whose groups say that it computes something else, of other routes, or with other states.
        """
        accepted: dict[str, Any] = {}

        def accept(_: Optimizer, given: dict[str, Any]) -> dict[str, Any]:
            accepted.update(self._accepted(given, any_fingerprint=any_fingerprint))
            return accepted

        # Behind the hooks that may adapt the checkpoint, and before those that may look at what was loaded.
        accepting = self.register_load_state_dict_pre_hook(accept)
        restoring = self.register_load_state_dict_post_hook(lambda _: self._restore_formats(accepted), prepend=True)
        try:
            super().load_state_dict(state_dict)
        finally:
            accepting.remove()
            restoring.remove()

    def _accepted(self, given: Mapping[str, Any], *, any_fingerprint: bool) -> dict[str, Any]:
        """The checkpoint as torch may load it."""
        groups = list(given["param_groups"])
        for saved in groups:
            self._check_identity(saved, any_fingerprint=any_fingerprint)
        own = [self._own_entries(saved, group) for saved, group in zip(groups, self.param_groups, strict=False)]
        accepted = {**given, "param_groups": own + groups[len(own) :]}
        self._check_states(accepted)
        return accepted

    def _check_identity(self, saved: Mapping[str, Any], *, any_fingerprint: bool) -> None:
        name = type(self).__name__
        found = saved.get("fingerprint")
        if any_fingerprint:
            return
        if found not in (None, self.fingerprint):
            raise ValueError(
                f"the checkpoint was written by another spec: its fingerprint is {found}, that of {name} "
                f"is {self.fingerprint}; pass any_fingerprint=True to load it if names and shapes of its states agree"
            )
        # A class that loaded our checkpoint keeps the fingerprint in its groups, even if it computes something else.
        if found is not None and not any(key in saved for each in self.checkpoints for key in each.entries):
            return
        differences = [checkpoint.differences(saved) for checkpoint in self.checkpoints]
        if not differences:
            raise ValueError(
                f"the checkpoint has no fingerprint, so that nothing says whether it computes what {name} does; "
                "pass any_fingerprint=True to load it all the same"
            )
        if all(differences):
            system, nearest = self.checkpoints[0].system, min(differences, key=len)
            raise ValueError(
                f"the checkpoint is not of a {system} that computes what {name} does: it has {', '.join(nearest)}; "
                "pass any_fingerprint=True to load it all the same"
            )

    def _own_entries(self, saved: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
        """A saved group with what is missing in it taken from ours, and without what only identifies it."""
        if saved.get("route", own["route"]) != own["route"]:
            raise ValueError(f"a group of the checkpoint has route {saved['route']!r}, ours has {own['route']!r}")
        foreign = {"fingerprint", *(key for each in self.checkpoints for key in each.entries)}
        kept = {key: value for key, value in saved.items() if key not in foreign}
        missing = {key: own[key] for key in ("route", *self.defaults) if key in own and key not in kept}
        for hyper in self.hypers:
            hyper.check({**missing, **kept}[hyper.name])
        return {**kept, **missing}

    def _check_states(self, saved: Mapping[str, Any]) -> None:
        for index, parameter, route in self._numbered(saved):
            state = saved["state"].get(index)
            if not state:
                continue
            expected = {each.name: each.sizes(parameter) for each in self.states[route]}
            if route in self.counts_steps:
                expected["step"] = ()
            found = {name: tuple(value.shape) for name, value in state.items() if isinstance(value, Tensor)}
            if found != expected:
                raise ValueError(f"parameter {index} should have states {expected} but the checkpoint has: {found}")

    def _restore_formats(self, saved: Mapping[str, Any]) -> None:
        """torch loads floating-point state in the parameter's format; states with a format of their own keep it."""
        for index, parameter, route in self._numbered(saved):
            for each in self.states[route]:
                if each.dtype is not None and saved["state"].get(index):
                    value = saved["state"][index][each.name]
                    self.state[parameter][each.name] = value.to(parameter.device, each.dtype, copy=True)

    def _numbered(self, saved: Mapping[str, Any]) -> list[tuple[Any, Tensor, str]]:
        """The numbers under which a checkpoint knows our parameters."""
        return [
            (index, parameter, own["route"])
            for group, own in zip(saved["param_groups"], self.param_groups, strict=False)
            for index, parameter in zip(group["params"], own["params"], strict=False)
        ]
