"""The base of generated optimizers: parameter groups, routing, state, checkpoints, and the loop of a step.

What a step computes is in the generated class; nothing here knows any algorithm.
"""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, ClassVar, Self, overload

import torch
from torch import Tensor, nn
from torch.optim.optimizer import Optimizer

from muondsl.runtime.amp import Scaling, check_maximize
from muondsl.runtime.backend import Backend, BackendName, BackendOptions, placed_step
from muondsl.runtime.batch import LaunchFunction
from muondsl.runtime.checks import Added, check_parameter, check_step, without_duplicates
from muondsl.runtime.declarations import Checkpoint, Hyper, State
from muondsl.runtime.describe import describe
from muondsl.runtime.iteration import Iteration
from muondsl.runtime.loading import accepted_checkpoint, restore_formats
from muondsl.runtime.model_roles import model_roles
from muondsl.runtime.options import backend_of
from muondsl.runtime.precision import Precision
from muondsl.runtime.roles import chosen_roles
from muondsl.runtime.routing import MATRIX, OTHERWISE, Predicate, Router
from muondsl.runtime.routing_table import Routing, ScaleFunction, routing_table
from muondsl.runtime.torch_path import step_with_torch
from muondsl.runtime.views import PLAIN_VIEW, View

ParamsT = Iterable[Tensor] | Iterable[dict[str, Any]] | Iterable[tuple[str, Tensor]]


class SpecOptimizer(Optimizer):
    """A torch optimizer whose step is compiled from a spec.

    Every parameter group has a `route`: `matrix`, whose parameters are matrices, or seen as such, and take the stages
    of the spec, or `otherwise`. A group may state its own; a group that does not is divided by the routes of the spec,
    parameter by parameter. All hypers are live, and so is `maximize`: a step uses what the group holds when it begins.
    A step runs kernels of `launches` or, where `backend` says so, `update_parameter`. Gradients that GradScaler has
    scaled are divided as they are read, and a step in which it has found inf or NaN changes nothing. `iterations` are
    those of `update_parameter`, which on `elementwise` routes also takes a part of a parameter, and on those of
    `stacks` several, [parameters, …].
    """

    fingerprint: ClassVar[str]
    hypers: ClassVar[tuple[Hyper, ...]]
    states: ClassVar[Mapping[str, tuple[State, ...]]]
    scales: ClassVar[Mapping[str, ScaleFunction]] = {}
    routes: ClassVar[Mapping[str, Predicate]] = {}
    views: ClassVar[Mapping[str, Predicate]] = {}
    checkpoints: ClassVar[tuple[Checkpoint, ...]] = ()
    counts_steps: ClassVar[frozenset[str]] = frozenset()
    launches: ClassVar[Mapping[str, LaunchFunction]] = {}
    iterations: ClassVar[Mapping[str, tuple[Iteration, ...]]] = {}
    elementwise: ClassVar[frozenset[str]] = frozenset()
    stacks: ClassVar[frozenset[str]] = frozenset()
    _step_supports_amp_scaling: ClassVar[bool] = True

    _is_routed_by_hand = False

    def __init__(
        self,
        params: ParamsT,
        defaults: dict[str, Any],
        otherwise_defaults: Mapping[str, Any] | None = None,
        *,
        backend: BackendName = "auto",
        capturable: bool = False,
        workspace: int | None = None,
        views: Mapping[str, str] | None = None,
        roles: Mapping[str, str] | None = None,
        fused: bool | None = None,
        foreach: bool | None = None,
        differentiable: bool = False,
        maximize: bool = False,
        master_weights: bool = False,
        stochastic_rounding: int | None = None,
    ) -> None:
        """`otherwise_defaults` are the defaults of hypers in groups of that route, None for those of matrices; the rest
        is as in `Options`.

        Raises ValueError for a hyper outside its range, for parameters that no route or more than one route
        claims, or whose name or role is not known where the spec asks, for one that no view makes a matrix on the route
        of matrices, and for views or roles of no parameter; TypeError for parameters that are sharded, or in a format
        that an option does not take; RuntimeError for complex ones, for a backend that cannot be, and for what torch's
        optimizers may have and these do not.
        """
        backend = backend_of(type(self).__name__, backend, fused, foreach, differentiable=differentiable)
        self._options = BackendOptions(backend, capturable, workspace)
        self._options.check(type(self).__name__, has_launches=bool(self.launches))
        self.backend = Backend(self._options)
        self.precision = Precision(master_weights, stochastic_rounding)
        self.precision.check(type(self).__name__)
        self.added: dict[Tensor, Added] = {}
        self._given = dict(views or {}), dict(roles or {})
        self._otherwise_defaults = {name: each for name, each in (otherwise_defaults or {}).items() if each is not None}
        for hyper in self.hypers:
            hyper.check(defaults[hyper.name])
            if hyper.name in self._otherwise_defaults:
                replace(hyper, name=f"otherwise_{hyper.name}").check(self._otherwise_defaults[hyper.name])
        super().__init__(params, {**defaults, "maximize": maximize})
        routes = {name: group["route"] for group in self.param_groups for name in group.get("param_names", ())}
        self._router.check_all_given(routes)
        self._check_routes()
        if fused:
            for group in self.param_groups:
                for parameter in group["params"]:
                    self.backend.choice(self, group["route"], parameter)

    def _check_routes(self) -> None:
        routes = {group["route"] for group in self.param_groups if group["params"]}
        if routes == {OTHERWISE} and MATRIX in self.routes and not self._is_routed_by_hand:
            warnings.warn(
                f"{type(self).__name__} got no matrix: all of its parameters take the other route, see routing()",
                stacklevel=4,
            )

    def _patch_step_function(self) -> None:
        """torch's own wraps the step in its hooks. It is all hidden from torch.compile: launches are no operations of
        torch, and a graph of operations would be guarded by hypers that change from step to step.
        """
        super()._patch_step_function()
        kind: Any = type(self)
        if not hasattr(kind.step, "is_hidden"):
            reason = f"{kind.__name__} steps outside of graphs"
            kind.step = torch.compiler.disable(kind.step, reason=reason)
            kind.step.is_hidden = True

    @classmethod
    def for_model(cls, model: nn.Module, **arguments: Any) -> Self:
        """The optimizer of all parameters of a model, whose roles are found from its modules: embeddings, also tied
        ones, output heads (those as wide as an embedding has entries, and those that are called so), norms, biases,
        convolutions, stacks of experts. `roles` among the arguments corrects what is found.
        """
        found = model_roles(model)
        given = arguments.pop("roles", {})
        roles = {**given, **found, **chosen_roles(given, found)}
        return cls(model.named_parameters(), **arguments, roles=roles)

    @property
    def _router(self) -> Router:
        return Router(type(self).__name__, tuple(self.states), self.routes, self.views, *self._given)

    def __getstate__(self) -> dict[str, Any]:
        return {
            **super().__getstate__(),
            "_otherwise_defaults": self._otherwise_defaults,
            "_options": self._options,
            "precision": self.precision,
            "added": self.added,
            "_given": self._given,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self.backend = Backend(self._options)

    def view_of(self, parameter: Tensor) -> View:
        """How a parameter is seen; those of the other route as they are."""
        added = self.added.get(parameter)
        return added.view if added else PLAIN_VIEW

    def routing(self) -> Routing:
        """For each parameter its route, the matrices that are seen in it, by which factors they are stepped, and the
        bytes of its states; prints as a table.
        """
        return routing_table(self)

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

        Raises RuntimeError for a gradient that is sparse or not of floating point, and for parameters that the backend
        cannot step, before anything is changed.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        check_step(self)
        scaling = self._scaling()
        if scaling.is_read and scaling.is_skipped:
            return loss
        others: dict[int, list[Tensor]] = {}
        for number, parameter in self.backend.step(self, scaling):
            others.setdefault(number, []).append(parameter)
        if others:
            step_with_torch(self, others, scaling.read())
        return loss

    def _scaling(self) -> Scaling:
        """What GradScaler asks of this step; read, unless the step may be captured and has no states to make."""
        scaling = Scaling.of(self)
        if scaling.is_read or (self._options.capturable and self.has_all_states()):
            return scaling
        self.backend.check_warmed_up(self)
        return scaling.read()

    def states_of(self, route: str, parameter: Tensor) -> tuple[State, ...]:
        """The states that a parameter has, in their formats; the count of steps apart."""
        return self.precision.states(self.states[route], parameter.dtype)

    def counts_steps_of(self, route: str, parameter: Tensor) -> bool:
        """Whether the steps of a parameter are counted: the spec reads their number, or random bits depend on it."""
        return route in self.counts_steps or self.precision.rounds_at_random(parameter.dtype)

    def has_all_states(self) -> bool:
        """Whether the next step has no states to make, given the gradients that there are."""
        for group in self.param_groups:
            route = group["route"]
            for parameter in group["params"]:
                if parameter.grad is not None and parameter.numel():
                    names = {each.name for each in self.states_of(route, parameter)}
                    names |= {"step"} if self.counts_steps_of(route, parameter) else set()
                    if parameter not in self.state or not names <= self.state[parameter].keys():
                        return False
        return True

    def ready_state(self, route: str, parameter: Tensor, gradient: Tensor, factor: float = 1.0) -> dict[str, Tensor]:
        """The states of a parameter, those added that are missing. The step takes the gradient times `factor`."""
        state: dict[str, Tensor] = self.state[parameter]
        if self.counts_steps_of(route, parameter):
            step = state["step"] if "step" in state else torch.zeros((), dtype=torch.float32, device="cpu")
            state["step"] = placed_step(step, parameter, self._options)
        for each in self.states_of(route, parameter):
            if each.name not in state:
                state[each.name] = each.create(parameter, gradient, self.matrices_of(route, parameter), factor)
        return state

    def matrices_of(self, route: str, parameter: Tensor) -> tuple[tuple[int, int], ...]:
        """Rows and columns of the matrices seen in a parameter; none on the other route."""
        return self.view_of(parameter).shapes(parameter.shape) if route == MATRIX else ()

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Adds a group; without a `route` of its own it becomes one group for each route its parameters take."""
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        given = param_group["params"]
        if isinstance(given, set) or (not isinstance(given, Tensor) and not isinstance(given, Iterable)):
            super().add_param_group(param_group)
            return
        members = without_duplicates(type(self).__name__, [given] if isinstance(given, Tensor) else list(given))
        options = {key: value for key, value in param_group.items() if key != "params"}
        before = len(self.param_groups)
        try:
            for route, chosen in self._router.divide(members, options.get("route")).items():
                given = options if len(self.param_groups) == before else self._own_tensors(options)
                group = {**given, "params": chosen, "route": route, "fingerprint": self.fingerprint}
                if route == OTHERWISE:
                    group = {**self._otherwise_defaults, **group}
                self._check_group(group)
                super().add_param_group(group)
                self.added |= self._as_added(self.param_groups[-1])
        except Exception:
            for parameter in (each for group in self.param_groups[before:] for each in group["params"]):
                self.added.pop(parameter, None)
            del self.param_groups[before:]
            raise
        self._is_routed_by_hand |= "route" in options

    def _as_added(self, group: Mapping[str, Any]) -> dict[Tensor, Added]:
        is_matrix = group["route"] == MATRIX
        names = group.get("param_names", [None] * len(group["params"]))
        return {
            tensor: Added(self._router.view(name, tensor) if is_matrix else PLAIN_VIEW, tensor.requires_grad)
            for name, tensor in zip(names, group["params"], strict=True)
        }

    def _own_tensors(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """The options with hypers that are tensors copied: a scheduler would change a shared one once a group."""
        tensors = {
            hyper.name: value.clone()
            for hyper in self.hypers
            if isinstance(value := options.get(hyper.name, self.defaults[hyper.name]), Tensor)
        }
        return {**options, **tensors}

    def _check_group(self, group: Mapping[str, Any]) -> None:
        check_maximize(group.get("maximize", self.defaults["maximize"]))
        for hyper in self.hypers:
            if hyper.name in group:
                hyper.check(group[hyper.name])
        for member in group["params"]:
            parameter = member[1] if isinstance(member, tuple) else member
            if isinstance(parameter, Tensor):
                check_parameter(type(self).__name__, parameter)
                self.precision.check_parameter(type(self).__name__, parameter)

    def state_dict(self) -> dict[str, Any]:
        """As torch's, with what a compatible class keeps in its groups: those of matrices, where the spec has any."""
        saved = super().state_dict()
        extra = self.checkpoints[0].entries if self.checkpoints else {}
        for group in saved["param_groups"]:
            own = {name: value for name, value in extra.items() if name not in self.defaults}
            group.update(own if group["route"] == next(iter(self.states)) else {})
        return saved

    def load_state_dict(self, state_dict: dict[str, Any], *, any_fingerprint: bool = False) -> None:
        """Loads what `state_dict` returned, here or in a class that the spec names as compatible.

        Raises ValueError, before anything is changed, for a checkpoint of another spec (unless `any_fingerprint`), of
        a class whose groups say that it computes something else, of other routes, or with other states.
        """
        accepted: dict[str, Any] = {}

        def accept(_: Optimizer, given: dict[str, Any]) -> dict[str, Any]:
            accepted.update(accepted_checkpoint(self, given, any_fingerprint=any_fingerprint))
            return accepted

        # Behind the hooks that may adapt the checkpoint, and before those that may look at what was loaded.
        accepting = self.register_load_state_dict_pre_hook(accept)
        restoring = self.register_load_state_dict_post_hook(lambda _: restore_formats(self, accepted), prepend=True)
        try:
            super().load_state_dict(state_dict)
        finally:
            accepting.remove()
            restoring.remove()
