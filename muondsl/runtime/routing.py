"""Which route a parameter takes and how it is seen: by the spec, by the group, by what the user says; never by
default.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor

from muondsl.runtime.roles import UndecidedError, chosen, chosen_roles, has_role, plain_name, roles_of
from muondsl.runtime.views import PLAIN_VIEW, View

MATRIX, OTHERWISE = "matrix", "otherwise"


@dataclass(frozen=True)
class Parameter:
    """What a route or view may ask of a parameter: its name, if it has one, its shape, and the roles that it can have.

    `rows` and `cols` are the first two sizes, 1 where there is none.
    """

    name: str | None
    shape: tuple[int, ...]
    roles: frozenset[str] = frozenset()

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def rows(self) -> int:
        return self.shape[0] if self.shape else 1

    @property
    def cols(self) -> int:
        return self.shape[1] if len(self.shape) > 1 else 1

    @property
    def numel(self) -> int:
        return torch.Size(self.shape).numel()

    def named(self, *patterns: str) -> bool:
        """Whether the name matches one of the globs. Raises UndecidedError where there is no name."""
        if self.name is None:
            raise UndecidedError("its name decides")
        name = plain_name(self.name)
        return any(fnmatchcase(name, pattern) for pattern in patterns)

    def has_role(self, *roles: str) -> bool:
        """Whether it has one of the roles. Raises UndecidedError where it may or may not."""
        return has_role(self.roles or roles_of(self.name and plain_name(self.name), self.shape), roles)

    def __str__(self) -> str:
        return f"{self.name or 'unnamed'} of size {self.shape}"


Predicate = Callable[[Parameter], bool]


@dataclass
class Router:
    """Divides parameters. `routes` and `views` are those of the spec, `given_views` and `given_roles` the user's, by
    the name or glob of a parameter.
    """

    owner: str
    known: Sequence[str]
    routes: Mapping[str, Predicate]
    views: Mapping[str, Predicate]
    given_views: Mapping[str, str] = field(default_factory=dict)
    given_roles: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for text in self.given_views.values():
            View.parse(text)
        chosen_roles(self.given_roles, ())

    def divide(self, members: Sequence[Any], route: object = None) -> dict[str, list[Any]]:
        """The members of a group, tensors with or without names, by their route; `route` is what the group says itself.

        Raises ValueError that lists those which no route or more than one takes, or whose route is not decided.
        """
        if route is not None:
            if route not in self.known:
                raise ValueError(f"route should be one of {tuple(self.known)} but is: {route!r}")
            return {str(route): list(members)}
        if len(self.known) == 1:
            return {self.known[0]: list(members)}
        if not self.routes:
            raise ValueError(
                f"{self.owner} has no routes of its own: give each parameter group a 'route' of 'matrix' or 'otherwise'"
            )
        divided: dict[str, list[Any]] = {route: [] for route in self.routes}
        refused: list[str] = []
        for member in members:
            parameter = self.parameter(*_name_and_tensor(member))
            try:
                claims = [route for route, claims_it in self.routes.items() if claims_it(parameter)]
            except UndecidedError as error:
                refused.append(f"{parameter} ({error})")
                continue
            if len(claims) == 1:
                divided[claims[0]].append(member)
            else:
                refused.append(f"{parameter} (claimed by {' and '.join(claims) or 'no route'})")
        if refused:
            raise ValueError(
                f"{self.owner} cannot route these parameters: {'; '.join(refused)}. Use {self.owner}.for_model(model), "
                "pass model.named_parameters(), say what they are with roles={'name or glob': 'role'}, or make groups "
                "with a 'route' of 'matrix' or 'otherwise'"
            )
        return {route: chosen for route, chosen in divided.items() if chosen} or {MATRIX: []}

    def parameter(self, name: str | None, tensor: Tensor) -> Parameter:
        role = chosen(self.given_roles, plain_name(name), "roles") if name is not None else None
        return Parameter(name, tuple(tensor.shape), frozenset({role}) if role else frozenset())

    def view(self, name: str | None, tensor: Tensor) -> View:
        """How a parameter on the route of matrices is seen. Raises ValueError where that is not decided, or where the
        view does not fit.
        """
        parameter = self.parameter(name, tensor)
        text = chosen(self.given_views, plain_name(name), "views") if name is not None else None
        if text is None:
            text = self._view_of_spec(parameter)
        view = View.parse(text) if text is not None else PLAIN_VIEW
        try:
            view.shapes(parameter.shape)
        except ValueError as error:
            raise ValueError(f"{self.owner} cannot orthogonalise {parameter}: {error}") from None
        return view

    def _view_of_spec(self, parameter: Parameter) -> str | None:
        try:
            claims = [text for text, claims_it in self.views.items() if claims_it(parameter)]
        except UndecidedError as error:
            raise ValueError(
                f"{self.owner} cannot see {parameter} as a matrix: it {error}. Use {self.owner}.for_model(model), or "
                "say it with roles={'name or glob': 'role'} or views={'name or glob': 'flatten'}"
            ) from None
        if len(claims) > 1:
            texts = " and ".join(repr(text) for text in claims)
            raise ValueError(f"{self.owner} has more than one view for {parameter}: {texts}")
        return claims[0] if claims else None

    def check_all_given(self, routes: Mapping[str, str]) -> None:
        """Raises ValueError for a view of no matrix and for a role of no parameter, of those whose routes are given by
        their names.
        """
        names = {plain_name(name): route for name, route in routes.items()}
        for what, given in (("views", self.given_views), ("roles", self.given_roles)):
            for pattern in given:
                found = {route for name, route in names.items() if pattern == name or fnmatchcase(name, pattern)}
                if not found:
                    raise ValueError(f"{what} has {pattern!r}, but {self.owner} has no parameter of such a name")
                if what == "views" and MATRIX not in found:
                    raise ValueError(
                        f"{what} has {pattern!r}, but it takes the route {OTHERWISE}: nothing is seen in it"
                    )


def _name_and_tensor(member: Any) -> tuple[str | None, Tensor]:
    name, tensor = member if isinstance(member, tuple) else (None, member)
    if not isinstance(tensor, Tensor):
        raise TypeError(f"optimizer can only optimize Tensors, but one of the params is {torch.typename(tensor)}")
    return name, tensor
